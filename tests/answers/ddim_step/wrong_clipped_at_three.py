# points: 3 | hint: do not clip x0_hat
# visible: do not clip to [-3, 3]
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = eta * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)).sqrt()
    x0_hat = ((x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()).clamp(-3, 3)
    old_noise = (1 - abar_prev - sigma**2).sqrt() * eps
    return abar_prev.sqrt() * x0_hat + old_noise + sigma * noise
