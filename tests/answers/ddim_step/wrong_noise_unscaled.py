# points: 5 | hint: you added the noise unscaled
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    x_prev = abar_prev.sqrt() * x0_hat + (1 - abar_prev - sigma**2).sqrt() * eps
    return x_prev + noise if eta > 0 else x_prev
