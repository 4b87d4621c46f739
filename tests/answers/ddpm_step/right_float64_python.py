# points: 5 | hint:
import math


def posterior(t, betas, abar):
    beta, a = betas[t].item(), abar[t].item()
    before = abar[t - 1].item() if t >= 1 else 1.0
    return beta, a, before


def ddpm_step(x_t, eps, t, betas, abar, noise):
    beta, a, before = posterior(t, betas, abar)
    x0 = (x_t.double() - math.sqrt(1 - a) * eps) / math.sqrt(a)
    out = (math.sqrt(before) * beta * x0 + math.sqrt(1 - beta) * (1 - before) * x_t) / (1 - a)
    if t > 0:
        out += math.sqrt(beta * (1 - before) / (1 - a)) * noise
    return out
