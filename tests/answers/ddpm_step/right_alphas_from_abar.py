# points: 5 | hint:
def ddpm_step(x_t, eps, t, betas, abar, noise):
    prev = abar[t - 1] if t else 1.0
    alpha = abar[t] / prev
    mean = 1 / torch.sqrt(alpha) * (x_t - (1 - alpha) / torch.sqrt(1 - abar[t]) * eps)
    sigma = torch.sqrt((1 - alpha) * (1 - prev) / (1 - abar[t]))
    return mean + sigma * noise
