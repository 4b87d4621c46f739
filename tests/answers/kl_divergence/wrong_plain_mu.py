# points: 2.5 | hint: mu must be squared
def kl_divergence(mu, logvar):
    return (0.5 * (mu + logvar.exp() - 1 - logvar)).sum(1).mean()
