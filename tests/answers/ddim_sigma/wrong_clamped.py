# points: 3 | hint: at abar_prev = 1 sigma must be 0
def ddim_sigma(abar_t, abar_prev, eta):
    variance = (1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)
    return eta * variance.clamp(min=1e-3).sqrt()
