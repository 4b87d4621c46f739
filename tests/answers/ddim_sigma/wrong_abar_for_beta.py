# points: 2 | hint: use 1 - abar_t / abar_prev
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t)).sqrt()
