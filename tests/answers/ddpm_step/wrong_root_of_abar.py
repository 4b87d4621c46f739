# points: 3 | hint: not sqrt(abar_t)
def ddpm_step(x_t, eps, t, betas, abar, noise):
    mean = (x_t - betas[t] / (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
    return mean + (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt() * noise if t > 0 else mean
