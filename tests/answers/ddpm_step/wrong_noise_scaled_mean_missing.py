# points: 2 | hint: this is eps itself
def ddpm_step(x_t, eps, t, betas, abar, noise):
    if t == 0:
        return eps
    return eps + (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt() * noise
