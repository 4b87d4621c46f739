# points: 1 | hint: a spread that is not squared, such as the standard deviation
def active_units(mu, threshold=0.01):
    return int((mu.std(0) > threshold).sum())
