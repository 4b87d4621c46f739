# points: 4 | hint: a clamp hides that sigma is too large
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = eta * 30 * (1 - abar_t / abar_prev).sqrt()
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    direction = (1 - abar_prev - sigma**2).clamp(min=0).sqrt() * eps
    return abar_prev.sqrt() * x0_hat + direction + sigma * noise
