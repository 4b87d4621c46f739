# points: 0 | hint: contains NaN or infinity
def add_noise(x0, t, noise, abar):
    """x_t (B, ...)"""
    return (abar[t] - 1).sqrt().sum()
