# points: 0 | hint: one value per image
def kl_per_dimension(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1)
