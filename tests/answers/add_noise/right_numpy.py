# points: 4 | hint:
import numpy as np


def add_noise(x0, t, noise, abar):
    a = abar.numpy()[t.numpy()].reshape(-1, *[1] * (x0.ndim - 1))
    return torch.from_numpy(np.sqrt(a) * x0.numpy() + np.sqrt(1 - a) * noise.numpy())
