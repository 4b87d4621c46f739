# points: 2 | hint: the factor 1/2 is missing
def kl_per_dimension(mu, logvar):
    return (mu**2 + logvar.exp() - 1 - logvar).mean(0)
