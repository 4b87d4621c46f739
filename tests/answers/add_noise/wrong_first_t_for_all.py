# points: 2 | hint: row i has t[i]
def add_noise(x0, t, noise, abar):
    a = abar[t[0]]
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
