# points: 2 | hint: do not average over them
# visible: it is the other way round
def kl_divergence(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(0).mean()
