# points: 1 | hint: at abar_prev = 1 sigma must be 0
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * (1 - abar_t / abar_prev).sqrt()
