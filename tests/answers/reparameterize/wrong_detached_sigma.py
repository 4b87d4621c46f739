# points: 3 | hint: no gradient reaches `logvar`
import torch


def reparameterize(mu, logvar, noise):
    with torch.no_grad():
        sigma = torch.exp(0.5 * logvar)
    return mu + sigma * noise
