# points: 6 | hint: do not draw random numbers inside
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    noise = torch.randn_like(x_t) if noise.any() else noise
    return abar_prev.sqrt() * x0_hat + (1 - abar_prev - sigma**2).sqrt() * eps + sigma * noise
