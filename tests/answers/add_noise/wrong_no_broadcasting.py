# points: 2 | hint: must match the size
def add_noise(x0, t, noise, abar):
    return abar[t].sqrt() * x0 + (1 - abar[t]).sqrt() * noise
