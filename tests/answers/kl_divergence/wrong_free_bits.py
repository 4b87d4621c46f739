# points: 2.5 | hint: each entry must be
def kl_divergence(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).clamp(min=0.1).sum(1).mean()
