# points: 3 | hint:
def active_units(mu, threshold=0.01):
    mu -= mu.mean(0)
    return int(((mu**2).mean(0) > threshold).sum())
