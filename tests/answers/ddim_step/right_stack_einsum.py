# points: 8 | hint:
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = torch.as_tensor(ddim_sigma(abar_t, abar_prev, eta))
    c = torch.sqrt(1 - abar_prev - sigma.square()) - torch.sqrt(abar_prev * (1 - abar_t) / abar_t)
    w = torch.stack([torch.sqrt(abar_prev / abar_t), c, sigma])
    return torch.einsum("k,k...->...", w, torch.stack([x_t, eps, noise]))
