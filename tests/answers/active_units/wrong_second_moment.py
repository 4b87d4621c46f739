# points: 2 | hint: always the same carries no information
def active_units(mu, threshold=0.01):
    return int(((mu**2).mean(0) > threshold).sum())
