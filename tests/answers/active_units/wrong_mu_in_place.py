# points: 2 | hint: `mu` itself was changed
def active_units(mu, threshold=0.01):
    mu -= mu.mean(0)
    return int(((mu**2).mean(0) > threshold).sum())
