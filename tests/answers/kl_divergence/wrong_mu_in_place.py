# points: 3.5 | hint: `mu` itself was changed
def kl_divergence(mu, logvar):
    mu.square_().add_(logvar.exp()).sub_(1).sub_(logvar)
    return 0.5 * mu.sum(1).mean()
