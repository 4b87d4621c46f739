# points: 0 | hint: is sealed while this cell is checked
from mnistdiff import metrics


def kl_per_dimension(mu, logvar):
    return metrics.kl_per_dimension(mu, logvar)
