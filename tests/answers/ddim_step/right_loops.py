# points: 8 | hint:
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    rows = []
    for x, e, n in zip(x_t, eps, noise):
        x0 = (x - (1 - abar_t).sqrt() * e) / abar_t.sqrt()
        rows.append(abar_prev.sqrt() * x0 + (1 - abar_prev - sigma**2).sqrt() * e + sigma * n)
    return torch.stack(rows)
