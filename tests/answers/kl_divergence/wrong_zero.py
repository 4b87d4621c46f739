# points: 0 | hint: does not depend on mu and logvar
def kl_divergence(mu, logvar):
    return 0.0 * mu.sum()
