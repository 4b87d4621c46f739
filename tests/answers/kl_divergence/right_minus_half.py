# points: 4 | hint:
def kl_divergence(mu, logvar):
    return -0.5 * (1 + logvar - mu * mu - logvar.exp()).sum() / mu.size(0)
