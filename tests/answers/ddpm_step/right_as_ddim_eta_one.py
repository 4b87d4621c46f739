# points: 5 | hint:
def ddpm_step(x_t, eps, t, betas, abar, noise):
    a, p = abar[t], abar[t - 1] if t > 0 else torch.tensor(1.0)
    sigma = torch.sqrt((1 - p) / (1 - a) * (1 - a / p))
    x0_hat = (x_t - torch.sqrt(1 - a) * eps) / torch.sqrt(a)
    return torch.sqrt(p) * x0_hat + torch.sqrt(torch.clamp(1 - p - sigma**2, min=0)) * eps + sigma * noise
