# points: 7 | hint: the sigma under the root lacks eta
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    full = ddim_sigma(abar_t, abar_prev, 1.0) if eta > 0 else 0
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    return abar_prev.sqrt() * x0_hat + (1 - abar_prev - full**2).sqrt() * eps + sigma * noise
