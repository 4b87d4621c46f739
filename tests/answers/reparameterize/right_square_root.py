# points: 4 | hint:
def reparameterize(mu, logvar, noise):
    return noise * logvar.exp().sqrt() + mu
