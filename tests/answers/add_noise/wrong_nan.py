# points: 0 | hint: contains NaN or infinity
def add_noise(x0, t, noise, abar):
    """x_t (B, ...)"""
    kept = abar[t].view(-1, *[1] * (x0.ndim - 1))
    return kept.sqrt() * x0 + (kept - 1).sqrt() * noise
