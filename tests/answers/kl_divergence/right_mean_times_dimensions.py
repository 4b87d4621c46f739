# points: 4 | hint:
import torch


def half(x):
    return x / 2


def kl_divergence(mu, logvar):
    return half(mu.square() + torch.expm1(logvar) - logvar).mean() * mu.shape[-1]
