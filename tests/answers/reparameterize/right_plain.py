# points: 4 | hint:
import torch
from torch import Tensor


def reparameterize(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    sigma = torch.exp(0.5 * logvar)
    return mu + sigma * noise
