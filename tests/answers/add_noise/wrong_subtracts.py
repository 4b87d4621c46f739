# points: 3 | hint: you subtracted the noise
def add_noise(x0, t, noise, abar):
    a = abar[t].reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 - (1 - a).sqrt() * noise
