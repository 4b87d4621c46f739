# points: 2 | hint: the square root is missing
def add_noise(x0, t, noise, abar):
    a = abar[t].view(-1, *[1] * (x0.ndim - 1))
    return a * x0 + (1 - a) * noise
