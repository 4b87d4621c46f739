# points: 2 | hint: constant carries no information
def active_units(mu, threshold=0.01):
    return int(((mu**2).mean(0) > threshold).sum())
