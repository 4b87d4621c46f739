# points: 3 | hint:
import torch


def kl_per_dimension(mu, logvar):
    sigma = torch.exp(logvar / 2)
    mu.mul_(mu).add_(sigma**2).sub_(1).sub_(logvar).mul_(0.5)
    return torch.sum(mu, 0) / mu.shape[0]
