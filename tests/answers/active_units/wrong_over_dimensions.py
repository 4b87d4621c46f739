# points: 0 | hint: use dim 0
def active_units(mu, threshold=0.01):
    return int((mu.var(1) > threshold).sum())
