# points: 2 | hint: the factor sqrt(1 - abar_t / abar_prev) is missing
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * ((1 - abar_prev) / (1 - abar_t)).sqrt()
