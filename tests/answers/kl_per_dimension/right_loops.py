# points: 3 | hint:
import torch


def kl_per_dimension(mu, logvar):
    batch, dims = mu.shape
    out = torch.zeros(dims)
    for d in range(dims):
        for b in range(batch):
            m, v = float(mu[b, d]), logvar[b, d]
            out[d] += -0.5 * (1 + v - m * m - torch.exp(v)) / batch
    return out
