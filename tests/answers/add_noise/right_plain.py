# points: 4 | hint:
def add_noise(x0, t, noise, abar):
    """x_t (B, ...)"""
    kept = abar[t].view(-1, *[1] * (x0.ndim - 1))
    return kept.sqrt() * x0 + (1 - kept).sqrt() * noise
