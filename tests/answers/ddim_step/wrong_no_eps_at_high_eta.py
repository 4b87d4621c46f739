# points: 6 | hint: eps has no effect at eta > 0: its term is missing
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    sigma = eta * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)).sqrt()
    if eta > 0:
        return abar_prev.sqrt() * x0_hat + sigma * noise
    return abar_prev.sqrt() * x0_hat + (1 - abar_prev).sqrt() * eps
