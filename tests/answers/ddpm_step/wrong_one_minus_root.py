# points: 2 | hint: 1 - sqrt(abar) is not sqrt(1 - abar)
# visible: not (1 - sqrt(abar_t)) eps
def ddpm_step(x_t, eps, t, betas, abar, noise):
    x0 = (x_t - (1 - abar[t].sqrt()) * eps) / abar[t].sqrt()
    if t == 0:
        return x0
    var = betas[t] * (1 - abar[t - 1]) / (1 - abar[t])
    mean = abar[t - 1].sqrt() * betas[t] * x0
    mean = mean + (1 - betas[t]).sqrt() * (1 - abar[t - 1]) * x_t
    return mean / (1 - abar[t]) + var.sqrt() * noise
