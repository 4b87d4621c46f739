# points: 4 | hint:
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * ((1 - abar_prev) / (1 - abar_t)) ** 0.5 * (1 - abar_t / abar_prev) ** 0.5
