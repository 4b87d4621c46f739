# points: 2 | hint: posterior mean has variance > threshold over the data
def active_units(mu, threshold=0.1):
    return int((mu.var(0) > threshold).sum())
