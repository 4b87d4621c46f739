# points: 3 | hint: another choice of sigma_t
def ddpm_step(x_t, eps, t, betas, abar, noise):
    mean = (x_t - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + betas[t].sqrt() * noise if t > 0 else mean
