# points: 5 | hint:
def ddpm_step(x_t, eps, t, betas, abar, noise):
    """x_{t-1}, the shape of x_t"""
    abar_prev = abar[t - 1] if t > 0 else torch.ones(())
    x0_hat = (x_t - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
    mean = abar_prev.sqrt() * betas[t] / (1 - abar[t]) * x0_hat
    mean = mean + (1 - betas[t]).sqrt() * (1 - abar_prev) / (1 - abar[t]) * x_t
    variance = betas[t] * (1 - abar_prev) / (1 - abar[t])
    return mean + variance.sqrt() * noise
