# points: 2.5 | hint: never negative
def kl_divergence(mu, logvar):
    return 0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1).mean()
