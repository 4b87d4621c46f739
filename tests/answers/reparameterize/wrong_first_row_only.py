# points: 0 | hint: expected shape (B, D)
def reparameterize(mu, logvar, noise):
    return (mu + (logvar / 2).exp() * noise)[0]
