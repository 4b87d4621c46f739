# points: 0 | hint: ddim_step is sealed
import mnistdiff.samplers


def ddpm_step(x_t, eps, t, betas, abar, noise):
    before = abar[t - 1] if t > 0 else torch.tensor(1.0)
    return mnistdiff.samplers.ddim_step(x_t, eps, abar[t], before, 1.0, noise)
