# points: 3.5 | hint: NumPy cuts the gradient
# visible: NumPy cuts the gradient, and so does .detach()
def kl_divergence(mu, logvar):
    import numpy as np

    m, v = mu.numpy(), logvar.numpy()
    return torch.tensor((0.5 * (m**2 + np.exp(v) - 1 - v)).sum(1).mean())
