# points: 2 | hint: threshold
def active_units(mu, threshold=0.003):
    return int((mu.var(dim=0) > threshold).sum())
