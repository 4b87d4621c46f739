# points: 8 | hint:
import numpy as np


def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    x, e, n = x_t.numpy(), eps.numpy(), noise.numpy()
    a, p = abar_t.item(), abar_prev.item()
    s = eta * np.sqrt((1 - p) / (1 - a) * (1 - a / p))
    x0 = (x - np.sqrt(1 - a) * e) / np.sqrt(a)
    return torch.as_tensor(np.sqrt(p) * x0 + np.sqrt(1 - p - s**2) * e + s * n)
