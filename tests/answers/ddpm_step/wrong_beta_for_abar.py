# points: 3 | hint: instead of abar_t
def ddpm_step(x_t, eps, t, betas, abar, noise):
    alpha = 1 - betas[t]
    mean = (x_t - betas[t] / (1 - alpha).sqrt() * eps) / alpha.sqrt()
    return mean + (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt() * noise if t > 0 else mean
