# points: 4 | hint:
import torch
from torch import distributions as D


def kl_divergence(mu, logvar):
    posterior = D.Normal(mu, (logvar / 2).exp())
    prior = D.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return D.kl_divergence(posterior, prior).sum(-1).mean()
