# points: 4 | hint:
def one(m, v, n):
    return m + torch.exp(v / 2) * n
def reparameterize(mu, logvar, noise):
    return torch.vmap(one)(mu, logvar, noise)
