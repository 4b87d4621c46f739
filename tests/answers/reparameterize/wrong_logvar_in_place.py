# points: 3 | hint: `logvar` itself was changed
def reparameterize(mu, logvar, noise):
    sigma = logvar.mul_(0.5).exp_()
    return mu + sigma * noise
