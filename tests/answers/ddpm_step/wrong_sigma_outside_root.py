# points: 3 | hint: take the square root of the whole fraction
def ddpm_step(x_t, eps, t, betas, abar, noise):
    mean = (x_t - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + betas[t].sqrt() * (1 - abar[t - 1]) / (1 - abar[t]) * noise if t > 0 else mean
