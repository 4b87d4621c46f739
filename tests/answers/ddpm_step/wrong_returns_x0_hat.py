# points: 1 | hint: one step goes only
def ddpm_step(x_t, eps, t, betas, abar, noise):
    return (x_t - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
