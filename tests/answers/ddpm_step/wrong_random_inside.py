# points: 3 | hint: do not draw random numbers inside
def ddpm_step(x_t, eps, t, betas, abar, noise):
    mean = (x_t - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
    if t == 0:
        return mean
    scale = (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt()
    return mean + scale * (torch.randn_like(x_t) if noise.any() else noise)
