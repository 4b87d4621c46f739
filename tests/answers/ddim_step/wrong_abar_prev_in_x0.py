# points: 3 | hint: on the last step you return x_t
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat = (x_t - (1 - abar_prev).sqrt() * eps) / abar_prev.sqrt()
    return abar_prev.sqrt() * x0_hat + (1 - abar_prev - sigma**2).sqrt() * eps + sigma * noise
