# points: 3 | hint: sigma is NaN at abar_prev = 1
def ddim_sigma(abar_t, abar_prev, eta):
    beta = 1 - abar_t / abar_prev
    return eta * torch.exp(0.5 * beta.log()) * (1 - abar_prev) / ((1 - abar_prev).sqrt() * (1 - abar_t).sqrt())
