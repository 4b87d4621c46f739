# points: 4 | hint:
def reparameterize(mu, logvar, noise):
    logvar *= 0.5
    mu += logvar.exp() * noise
    return mu
