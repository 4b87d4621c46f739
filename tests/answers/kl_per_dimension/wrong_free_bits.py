# points: 2 | hint: each entry must be
def kl_per_dimension(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).mean(0).clamp(min=0.1)
