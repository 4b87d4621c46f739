# points: 3 | hint: eta has no effect
def ddim_sigma(abar_t, abar_prev, eta):
    return ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)).sqrt()
