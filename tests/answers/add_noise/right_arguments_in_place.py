# points: 4 | hint:
def add_noise(x0, t, noise, abar):
    scale = abar.index_select(0, t).reshape((-1,) + (1,) * (x0.dim() - 1))
    x0 *= scale.pow(0.5)
    noise.mul_((1 - scale) ** 0.5)
    x0 += noise
    return x0
