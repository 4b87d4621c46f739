# points: 4 | hint: 1 - sqrt(abar) is not sqrt(1 - abar)
# visible: 1 - sqrt(abar_prev) is not sqrt(1 - abar_prev)
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = eta * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)).sqrt()
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    old_noise = (1 - abar_prev.sqrt()) * eps
    return abar_prev.sqrt() * x0_hat + old_noise + sigma * noise
