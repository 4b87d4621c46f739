# points: 2 | hint: do not clip x0_hat
def ddpm_step(x_t, eps, t, betas, abar, noise):
    a, p, b = abar[t], abar[t - 1] if t > 0 else torch.tensor(1.0), betas[t]
    x0_hat = ((x_t - (1 - a).sqrt() * eps) / a.sqrt()).clamp(-1, 1)
    mean = (p.sqrt() * b * x0_hat + (1 - b).sqrt() * (1 - p) * x_t) / (1 - a)
    return mean + (b * (1 - p) / (1 - a)).sqrt() * noise
