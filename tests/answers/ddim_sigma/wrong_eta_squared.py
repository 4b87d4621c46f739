# points: 3 | hint: eta is squared
def ddim_sigma(abar_t, abar_prev, eta):
    return eta**2 * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)).sqrt()
