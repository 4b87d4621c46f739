# points: 1 | hint: multiply it by the noise
def reparameterize(mu, logvar, noise):
    return mu + (logvar / 2).exp() + noise
