# points: 4 | hint:
def add_noise(x0, t, noise, abar):
    a = abar[t].view(-1, 1, 1, 1) if x0.ndim == 4 else abar[t][:, None]
    return torch.sqrt(a) * x0 + torch.sqrt(1 - a) * noise
