# points: 4 | hint:
import torch
from torch import Tensor


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    per_image = 0.5 * torch.sum(mu.pow(2) + logvar.exp() - 1 - logvar, dim=1)
    return per_image.mean()
