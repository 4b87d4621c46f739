# points: 3 | hint: compute 1 - abar_t first
def add_noise(x0, t, noise, abar):
    a = abar[t].view(-1, *[1] * (x0.ndim - 1)).sqrt()
    return a * x0 + (1 - a) * noise
