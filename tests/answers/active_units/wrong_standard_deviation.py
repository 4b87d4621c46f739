# points: 1 | hint: a standard deviation is not a variance
def active_units(mu, threshold=0.01):
    return int((mu.std(0) > threshold).sum())
