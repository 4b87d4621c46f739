# points: 2 | hint: divide by sqrt(alpha_t)
def ddpm_step(x_t, eps, t, betas, abar, noise):
    mean = x_t - betas[t] / (1 - abar[t]).sqrt() * eps
    return mean + (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt() * noise if t > 0 else mean
