# points: 3 | hint: the scale is sqrt(1 - abar_t)
def add_noise(x0, t, noise, abar):
    a = abar[t].view(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a) * noise
