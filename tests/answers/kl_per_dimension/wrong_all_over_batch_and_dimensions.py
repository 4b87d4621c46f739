# points: 2 | hint: divided by the number of dimensions
def kl_per_dimension(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(0) / mu.numel()
