# points: 3 | hint: x0 has shape (1, 6) and the result (1, 1, 1, 6)
def add_noise(x0, t, noise, abar):
    a = abar[t].view(-1, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
