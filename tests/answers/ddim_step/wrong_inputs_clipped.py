# points: 4 | hint: only x0_hat is wrong
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    x_t, eps = x_t.clamp(-3, 3), eps.clamp(-3, 3)
    s = ddim_sigma(abar_t, abar_prev, eta)
    x0 = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    return abar_prev.sqrt() * x0 + (1 - abar_prev - s**2).sqrt() * eps + s * noise
