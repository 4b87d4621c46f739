# points: 1 | hint: NaN or infinity
def kl_per_dimension(mu, logvar):
    return 0.5 * (mu**2 + logvar.sqrt() - 1 - logvar).mean(0)
