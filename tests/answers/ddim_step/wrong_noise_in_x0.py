# points: 2 | hint: it needs eps
# visible: it needs eps
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = eta * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)).sqrt()
    x0_hat = (x_t - (1 - abar_t).sqrt() * noise) / abar_t.sqrt()
    old_noise = (1 - abar_prev - sigma**2).sqrt() * eps
    return abar_prev.sqrt() * x0_hat + old_noise + sigma * noise
