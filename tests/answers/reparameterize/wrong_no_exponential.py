# points: 2 | hint: you left out the exponential
def reparameterize(mu, logvar, noise):
    return mu + logvar / 2 * noise
