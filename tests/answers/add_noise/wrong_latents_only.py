# points: 3 | hint: add one axis of length 1
def add_noise(x0, t, noise, abar):
    a = abar[t][:, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
