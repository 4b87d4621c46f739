# points: 1 | hint: the first fraction is upside down
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * ((1 - abar_t) / (1 - abar_prev).clamp(min=1e-3) * (1 - abar_t / abar_prev)).sqrt()
