# points: 3 | hint: the noise is added, not subtracted
def add_noise(x0, t, noise, abar):
    a = abar[t].reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 - (1 - a).sqrt() * noise
