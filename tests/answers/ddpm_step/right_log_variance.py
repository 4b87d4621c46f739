# points: 5 | hint:
def ddpm_step(x_t, eps, t, betas, abar, noise):
    previous = torch.cat([torch.ones(1), abar[:-1]])
    log_variance = torch.log((betas * (1 - previous) / (1 - abar)).clamp(min=1e-20))
    keep = 1.0 if t > 0 else 0.0
    alphas = 1 - betas
    mean = alphas[t].rsqrt() * (x_t - betas[t] * (1 - abar[t]).rsqrt() * eps)
    return mean + keep * (0.5 * log_variance[t]).exp() * noise
