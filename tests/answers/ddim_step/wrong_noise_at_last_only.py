# points: 7 | hint: noise is added on the last step
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    direction = (1 - abar_prev - sigma**2).sqrt() * eps
    if abar_prev == 1:
        sigma = eta * (1 - abar_t).sqrt()
    return abar_prev.sqrt() * x0_hat + direction + sigma * noise
