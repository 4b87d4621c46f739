# points: 1 | hint: this is the DDIM step at eta 0
def ddpm_step(x_t, eps, t, betas, abar, noise):
    p = abar[t - 1] if t > 0 else torch.tensor(1.0)
    x0_hat = (x_t - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
    return p.sqrt() * x0_hat + (1 - p).sqrt() * eps
