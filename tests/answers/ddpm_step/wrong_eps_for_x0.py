# points: 2 | hint: eps is not x0_hat
def ddpm_step(x_t, eps, t, betas, abar, noise):
    a, p, b = abar[t], abar[t - 1] if t > 0 else torch.tensor(1.0), betas[t]
    mean = (p.sqrt() * b * eps + (1 - b).sqrt() * (1 - p) * x_t) / (1 - a)
    return mean + (b * (1 - p) / (1 - a)).sqrt() * noise
