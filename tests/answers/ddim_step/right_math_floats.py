# points: 8 | hint:
import math


def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    a, p = float(abar_t), float(abar_prev)
    s = eta * math.sqrt((1 - p) / (1 - a)) * math.sqrt(1 - a / p)
    keep = math.sqrt(p / a)
    along = math.sqrt(max(1 - p - s * s, 0.0)) - keep * math.sqrt(1 - a)
    return keep * x_t + along * eps + s * noise
