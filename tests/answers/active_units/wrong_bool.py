# points: 0 | hint: expected an int
def active_units(mu, threshold=0.01):
    return bool((mu.var(0) > threshold).any())
