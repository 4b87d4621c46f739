# points: 2 | hint: add one axis of length 1
def add_noise(x0, t, noise, abar):
    a = abar[t].reshape(-1)
    if x0.shape[-1] != len(a):
        a = a.reshape(1, 1, 1, -1)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
