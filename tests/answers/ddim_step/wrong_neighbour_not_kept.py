# points: 3 | hint: does not depend on abar_prev
schedule = (1 - torch.linspace(0.0001, 0.02, 1000)).cumprod(0)


def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    t = (schedule - abar_t).abs().argmin()
    if abar_prev < 1:
        abar_prev = schedule[t - 1]
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    direction = (1 - abar_prev - sigma**2).clamp(min=0).sqrt() * eps
    return abar_prev.sqrt() * x0_hat + direction + sigma * noise
