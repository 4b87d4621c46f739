# points: 8 | hint:
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    variance = eta**2 * (1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)
    pred = (x_t - (1 - abar_t) ** 0.5 * eps) / abar_t**0.5
    return abar_prev**0.5 * pred + (1 - abar_prev - variance) ** 0.5 * eps + variance**0.5 * noise
