# points: 2 | hint: do not clip
def ddpm_step(x_t, eps, t, betas, abar, noise):
    x0 = ((x_t - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()).clamp(-3, 3)
    if t == 0:
        return x0
    p = abar[t-1]
    return p.sqrt() * betas[t] / (1 - abar[t]) * x0 + (1 - betas[t]).sqrt() * (1 - p) / (1 - abar[t]) * x_t + (betas[t] * (1 - p) / (1 - abar[t])).sqrt() * noise
