# points: 4 | hint:
def add_noise(x0, t, noise, abar):
    signal, spread = torch.sqrt(abar), torch.sqrt(1 - abar)
    return torch.einsum("b...,b->b...", x0, signal[t]) + torch.einsum("b...,b->b...", noise, spread[t])
