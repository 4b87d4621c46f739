# points: 2 | hint: expected an int
def active_units(mu, threshold=0.01):
    return (mu.var(0) > threshold).float().sum()
