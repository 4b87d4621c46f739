# points: 4 | hint:
def reparameterize(mu, logvar, noise):
    std = logvar.clone().mul_(0.5).exp()
    z = mu.clone()
    z.addcmul_(std, noise)
    return z
