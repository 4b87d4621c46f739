# points: 5 | hint:
def ddpm_step(x_t, eps, t, betas, abar, noise):
    mean = (x_t - betas[t] / (1 - abar[t]) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
    if t == 0:
        return mean
    return mean + ((1 - abar[t - 1]) / (1 - abar[t]) * betas[t]) ** 0.5 * noise
