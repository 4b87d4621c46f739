# points: 2 | hint: exp(logvar) as the standard deviation
import torch


def reparameterize(mu, logvar, noise):
    sigma = torch.exp(logvar)
    return mu + sigma * noise
