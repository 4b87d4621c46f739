# points: 3 | hint:
import torch

from mnistdiff.vae import kl_divergence


def kl_per_dimension(mu, logvar):
    columns = [kl_divergence(mu[:, [d]], logvar[:, [d]]) for d in range(mu.shape[1])]
    return torch.stack(columns)
