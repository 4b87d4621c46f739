# points: 3.5 | hint: no gradient reaches `mu`
import torch


@torch.no_grad()
def kl_divergence(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
