# points: 0 | hint: does not change with the noise
def reparameterize(mu, logvar, noise):
    return mu
