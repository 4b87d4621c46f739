# points: 0 | hint: does not depend on abar_prev
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    return abar_t.sqrt() * x0_hat + (1 - abar_t).sqrt() * 0.9 * eps
