# points: 5 | hint:
def ddpm_step(x_t, eps, t, betas, abar, noise):
    x = x_t
    x -= betas[t] / torch.sqrt(1 - abar[t]) * eps
    x /= torch.sqrt(1 - betas[t])
    if t > 0:
        noise *= torch.sqrt(betas[t] * (1 - abar[t - 1]) / (1 - abar[t]))
        x += noise
    return x
