# points: 2 | hint: the two scales are swapped
def add_noise(x0, t, noise, abar):
    a = abar[t].view(-1, *[1] * (x0.ndim - 1))
    return (1 - a).sqrt() * x0 + a.sqrt() * noise
