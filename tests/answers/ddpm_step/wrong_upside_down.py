# points: 3 | hint: the fraction is upside down
def ddpm_step(x_t, eps, t, betas, abar, noise):
    mean = (x_t - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + (betas[t] * (1 - abar[t]) / (1 - abar[t - 1])).sqrt() * noise if t > 0 else mean
