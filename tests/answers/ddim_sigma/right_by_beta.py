# points: 4 | hint:
def posterior_variance(beta, abar_t, abar_prev):
    return beta * (1 - abar_prev) / (1 - abar_t)


def ddim_sigma(abar_t, abar_prev, eta):
    beta = 1 - abar_t / abar_prev
    return (eta**2 * posterior_variance(beta, abar_t, abar_prev)).sqrt()
