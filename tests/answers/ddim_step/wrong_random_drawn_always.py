# points: 5 | hint: do not draw random numbers inside
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    direction = (1 - abar_prev - sigma**2).sqrt() * eps
    return abar_prev.sqrt() * x0_hat + direction + sigma * torch.randn_like(x_t)
