# points: 0 | hint: expected an int
def active_units(mu, threshold=0.01):
    return float((mu.var(0) > threshold).float().mean())
