# points: 3 | hint:
def variance(values):
    return sum(v * v for v in values) / len(values) - (sum(values) / len(values)) ** 2


def active_units(mu, threshold=0.01):
    return len([d for d in range(mu.shape[1]) if variance(mu[:, d].tolist()) > threshold])
