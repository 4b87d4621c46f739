# points: 5 | hint:
from collections import namedtuple

import torch

Losses = namedtuple("Losses", ["total", "recon", "kl"])
ERRORS = {
    "mse": lambda p, t: (t - p).square(),
    "bce": lambda p, t: -torch.xlogy(t, p) - torch.xlogy(1 - t, 1 - p),
}


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    recon, x, mu, logvar = (value.double() for value in (recon, x, mu, logvar))
    first = ERRORS[loss_type](recon, x).flatten(1).sum(1).mean()
    second = (mu.pow(2) + logvar.exp() - logvar - 1).sum(1).mean() / 2
    return Losses(first + beta * second, first, second)
