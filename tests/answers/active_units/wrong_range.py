# points: 0 | hint: a spread that is not squared
def active_units(mu, threshold=0.01):
    return int(((mu.amax(0) - mu.amin(0)) > threshold).sum())
