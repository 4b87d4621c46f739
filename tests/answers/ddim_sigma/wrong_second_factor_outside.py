# points: 2 | hint: the second factor is outside
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * ((1 - abar_prev) / (1 - abar_t)).sqrt() * (1 - abar_t / abar_prev)
