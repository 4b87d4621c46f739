# points: 2 | hint: not mu and logvar before
def kl_per_dimension(mu, logvar):
    m, v = mu.mean(0), logvar.mean(0)
    return 0.5 * (m**2 + v.exp() - 1 - v)
