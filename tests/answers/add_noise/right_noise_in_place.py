# points: 4 | hint:
def add_noise(x0, t, noise, abar):
    a = abar[t].reshape(-1, *[1] * (x0.ndim - 1))
    noise *= (1 - a).sqrt()
    return a.sqrt() * x0 + noise
