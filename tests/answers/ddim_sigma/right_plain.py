# points: 4 | hint:
def ddim_sigma(abar_t, abar_prev, eta):
    """sigma, a scalar"""
    return eta * torch.sqrt((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev))
