# points: 0 | hint: not `noise`
# visible: eps and noise are swapped
def ddpm_step(x_t, eps, t, betas, abar, noise):
    x0 = (x_t - (1 - abar[t]).sqrt() * noise) / abar[t].sqrt()
    if t == 0:
        return x0
    var = betas[t] * (1 - abar[t - 1]) / (1 - abar[t])
    mean = abar[t - 1].sqrt() * betas[t] * x0
    mean = mean + (1 - betas[t]).sqrt() * (1 - abar[t - 1]) * x_t
    return mean / (1 - abar[t]) + var.sqrt() * eps
