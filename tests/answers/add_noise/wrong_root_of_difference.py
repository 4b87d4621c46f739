# points: 0 | hint: NaN or infinity
# visible: contains NaN or infinity
def add_noise(x0, t, noise, abar):
    a = abar[t].reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (a - 1).sqrt() * noise
