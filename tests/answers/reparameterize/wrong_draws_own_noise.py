# points: 1 | hint: draw nothing inside
import torch


def reparameterize(mu, logvar, noise):
    return mu + torch.exp(logvar / 2) * torch.randn_like(mu)
