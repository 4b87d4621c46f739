# points: 3.5 | hint: gradients reach mu and logvar (0 of 0.5): no gradient reaches `mu`
import torch


@torch.no_grad()
def kl_divergence(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
