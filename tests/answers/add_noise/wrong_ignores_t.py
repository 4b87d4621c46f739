# points: 0 | hint: the result does not depend on t
def add_noise(x0, t, noise, abar):
    return abar.mean().sqrt() * x0 + (1 - abar.mean()).sqrt() * noise
