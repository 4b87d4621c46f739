# points: 1 | hint: does not change with its own logvar
def kl_per_dimension(mu, logvar):
    return (mu**2 / 2).mean(0)
