# points: 3 | hint:
import numpy as np


def active_units(mu, threshold=0.01):
    return np.sum(mu.numpy().astype(np.float64).var(axis=0) > threshold)
