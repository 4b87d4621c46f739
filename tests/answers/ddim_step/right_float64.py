# points: 8 | hint:
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    a, p = abar_t.double(), abar_prev.double()
    sigma = eta * torch.sqrt((1 - p) * (p - a) / (p * (1 - a)))
    x0 = (x_t.double() - torch.sqrt(1 - a) * eps.double()) / torch.sqrt(a)
    return torch.sqrt(p) * x0 + torch.sqrt(1 - p - sigma**2) * eps + sigma * noise
