# points: 4 | hint:
import torch


def reparameterize(mu, logvar, noise):
    z = torch.empty_like(mu)
    for b in range(mu.shape[0]):
        for d in range(mu.shape[1]):
            z[b, d] = mu[b, d] + torch.exp(logvar[b, d] / 2) * noise[b, d]
    return z
