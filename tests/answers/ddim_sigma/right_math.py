# points: 4 | hint:
import math


def ddim_sigma(abar_t, abar_prev, eta):
    a, p = float(abar_t), float(abar_prev)
    return eta * math.sqrt((1 - p) * (p - a) / ((1 - a) * p))
