# points: 8 | hint:
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    again = (x_t - abar_t.sqrt() * x0_hat) / (1 - abar_t).sqrt()
    std = eta * ((1 - abar_prev) / (1 - abar_t)).sqrt() * (1 - abar_t / abar_prev).sqrt()
    mean = x0_hat * abar_prev.sqrt() + (1 - abar_prev - std.square()).sqrt() * again
    return torch.addcmul(mean, std, noise)
