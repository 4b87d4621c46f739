# points: 3 | hint: at eta 0 the result still changes with the noise
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)).sqrt()
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    return abar_prev.sqrt() * x0_hat + (1 - abar_prev - sigma**2).sqrt() * eps + sigma * noise
