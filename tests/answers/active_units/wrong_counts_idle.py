# points: 0 | hint: you counted the idle dimensions
def active_units(mu, threshold=0.01):
    return int((mu.var(0) < threshold).sum())
