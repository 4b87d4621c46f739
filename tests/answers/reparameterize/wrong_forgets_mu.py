# points: 2 | hint: mu is not added
def reparameterize(mu, logvar, noise):
    return (logvar / 2).exp() * noise
