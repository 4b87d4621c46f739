# points: 2 | hint: never negative
def kl_per_dimension(mu, logvar):
    return 0.5 * (1 + logvar - mu**2 - logvar.exp()).mean(0)
