# points: 0 | hint: posterior mean has variance > threshold over the data
def active_units(mu, threshold=0.01):
    return int((mu.mean(0).abs() > threshold).sum())
