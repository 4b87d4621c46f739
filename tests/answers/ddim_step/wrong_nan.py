# points: 4 | hint: sigma is too large
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = eta * 3
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    return abar_prev.sqrt() * x0_hat + (1 - abar_prev - sigma**2).sqrt() * eps + sigma * noise
