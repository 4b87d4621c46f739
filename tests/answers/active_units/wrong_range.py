# points: 0 | hint: you counted every dimension
def active_units(mu, threshold=0.01):
    return int(((mu.amax(0) - mu.amin(0)) > threshold).sum())
