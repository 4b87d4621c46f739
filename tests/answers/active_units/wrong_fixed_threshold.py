# points: 2 | hint: the threshold argument is ignored
def active_units(mu, threshold=0.01):
    return int((mu.var(0) > 0.01).sum())
