# points: 1 | hint: the noise argument has no effect
def add_noise(x0, t, noise, abar):
    a = abar[t].view(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * noise * 0
