# points: 2 | hint: abar is read at another timestep
def add_noise(x0, t, noise, abar):
    a = abar[(t + 1).clamp(max=len(abar) - 1)].reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
