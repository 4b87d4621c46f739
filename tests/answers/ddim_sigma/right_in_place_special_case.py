# points: 4 | hint:
def ddim_sigma(abar_t, abar_prev, eta):
    if eta == 0 or abar_prev == 1:
        return 0.0
    ratio = abar_t.clone()
    ratio /= abar_prev
    return eta * torch.exp(0.5 * (torch.log1p(-abar_prev) - torch.log1p(-abar_t) + torch.log1p(-ratio)))
