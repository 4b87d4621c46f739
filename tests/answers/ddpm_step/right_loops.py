# points: 5 | hint:
def ddpm_step(x_t, eps, t, betas, abar, noise):
    out = torch.empty_like(x_t)
    for i in range(x_t.shape[0]):
        mean = (x_t[i] - betas[t] * eps[i] / (1 - abar[t]).sqrt()) / (1 - betas[t]).sqrt()
        out[i] = mean
        if t != 0:
            out[i] += noise[i] * (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt()
    return out
