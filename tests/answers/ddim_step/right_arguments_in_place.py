# points: 8 | hint:
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x_t.sub_(eps * torch.sqrt(1 - abar_t)).div_(torch.sqrt(abar_t)).mul_(torch.sqrt(abar_prev))
    eps *= torch.sqrt((1 - abar_prev - sigma**2).clamp(min=0))
    x_t += eps
    if eta > 0:
        x_t += sigma * noise
    return x_t
