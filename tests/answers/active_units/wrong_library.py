# points: 0 | hint: is sealed while this cell is checked
from mnistdiff.metrics import active_units as count


def active_units(mu, threshold=0.01):
    return count(mu, threshold)
