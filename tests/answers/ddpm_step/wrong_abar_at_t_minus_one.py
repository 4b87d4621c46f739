# points: 3 | hint: you used abar[t - 1]
def ddpm_step(x_t, eps, t, betas, abar, noise):
    if t == 0:
        return (x_t - (1 - abar[0]).sqrt() * eps) / abar[0].sqrt()
    mean = (x_t - betas[t] / (1 - abar[t - 1]).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt() * noise
