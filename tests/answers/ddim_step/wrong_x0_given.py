# points: 3 | hint: on the last step you return eps
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    direction = (1 - abar_prev - sigma**2).sqrt() * eps
    return abar_prev.sqrt() * eps + direction + sigma * noise
