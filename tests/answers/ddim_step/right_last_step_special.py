# points: 8 | hint:
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    x0_hat = (x_t - torch.sqrt(1 - abar_t) * eps) / torch.sqrt(abar_t)
    if abar_prev >= 1:
        return x0_hat
    beta = 1 - abar_t / abar_prev
    sigma = eta * torch.sqrt(beta * (1 - abar_prev) / (1 - abar_t))
    return torch.sqrt(abar_prev) * x0_hat + torch.sqrt(1 - abar_prev - sigma * sigma) * eps + sigma * noise
