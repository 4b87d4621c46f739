# points: 0 | hint: not over dim 1
def kl_per_dimension(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).mean(dim=1)
