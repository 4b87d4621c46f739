# points: 4 | hint:
def ddim_sigma(abar_t, abar_prev, eta):
    abar_t /= abar_prev
    return eta * ((1 - abar_prev) / (1 - abar_t * abar_prev) * (1 - abar_t)).sqrt()
