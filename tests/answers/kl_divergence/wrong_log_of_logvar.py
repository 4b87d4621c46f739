# points: 0 | hint: NaN or infinity
# visible: contains NaN or infinity
def kl_divergence(mu, logvar):
    return (0.5 * (mu**2 + logvar - 1 - logvar.log())).sum(1).mean()
