# points: 4 | hint:
import numpy as np


def ddim_sigma(abar_t, abar_prev, eta):
    a, p = np.float64(abar_t.item()), np.float64(abar_prev.item())
    return eta * np.sqrt((1 - p) / (1 - a) * (1 - a / p))
