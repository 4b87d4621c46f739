# points: 0 | hint: sigma is NaN
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * ((1 - abar_t) / (1 - abar_prev) * (1 - abar_prev / abar_t)).sqrt()
