# points: 2 | hint: do not sum over it
def kl_per_dimension(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(dim=0)
