# points: 1 | hint: do not clip the result
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    s = ddim_sigma(abar_t, abar_prev, eta)
    x0 = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    return (abar_prev.sqrt() * x0 + (1 - abar_prev - s**2).sqrt() * eps + s * noise).clamp(0, 1)
