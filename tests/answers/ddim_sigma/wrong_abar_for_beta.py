# points: 2 | hint: 1 - abar_t / abar_prev compares the two steps
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t)).sqrt()
