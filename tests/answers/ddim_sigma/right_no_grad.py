# points: 4 | hint:
@torch.no_grad()
def ddim_sigma(abar_t, abar_prev, eta=0.0):
    beta_t = (abar_prev - abar_t) / abar_prev
    tilde = beta_t * (1 - abar_prev) / (1 - abar_t)
    return torch.mul(torch.sqrt(tilde), eta)
