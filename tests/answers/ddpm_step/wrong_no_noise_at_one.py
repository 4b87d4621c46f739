# points: 3 | hint: leave it out at t = 0 only
def ddpm_step(x_t, eps, t, betas, abar, noise):
    mean = (x_t - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt() * noise if t > 1 else mean
