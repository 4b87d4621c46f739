# points: 3 | hint: leave it out at t = 0 only
def ddpm_step(x_t, eps, t, betas, abar, noise):
    return (x_t - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
