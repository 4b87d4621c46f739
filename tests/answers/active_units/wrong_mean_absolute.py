# points: 1 | hint: a spread that is not squared
# visible: use the variance over the images
def active_units(mu, threshold=0.01):
    return int((mu.abs().mean(0) > threshold).sum())
