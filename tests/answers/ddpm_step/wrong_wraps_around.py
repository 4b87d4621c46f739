# points: 4 | hint: abar[-1]
def ddpm_step(x_t, eps, t, betas, abar, noise):
    a, p, b = abar[t], abar[t - 1], betas[t]
    x0_hat = (x_t - (1 - a).sqrt() * eps) / a.sqrt()
    mean = (p.sqrt() * b * x0_hat + (1 - b).sqrt() * (1 - p) * x_t) / (1 - a)
    return mean if t == 0 else mean + (b * (1 - p) / (1 - a)).sqrt() * noise
