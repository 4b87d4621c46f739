# points: 1 | hint: missing 1 required positional argument
def active_units(mu, threshold):
    return int((mu.var(0) > threshold).sum())
