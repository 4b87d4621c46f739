# points: 4 | hint:
def broadcast(v, x):
    while v.ndim < x.ndim:
        v = v.unsqueeze(-1)
    return v


def add_noise(x0, t, noise, abar):
    a = broadcast(abar.double().gather(0, t), x0)
    return (torch.sqrt(a) * x0.double() + torch.sqrt(1.0 - a) * noise.double()).float()
