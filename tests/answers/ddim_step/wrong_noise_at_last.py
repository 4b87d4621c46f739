# points: 5 | hint: noise is added on the last step
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = eta * (1 - abar_t / abar_prev).sqrt()
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    own = ddim_sigma(abar_t, abar_prev, eta)
    return abar_prev.sqrt() * x0_hat + (1 - abar_prev - own**2).sqrt() * eps + sigma * noise
