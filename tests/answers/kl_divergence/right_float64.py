# points: 4 | hint:
def kl_divergence(mu, logvar):
    mu, logvar = mu.double(), logvar.double()
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
