# points: 3 | hint:
from torch import Tensor


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    variance = mu.var(dim=0)
    return int((variance > threshold).sum())
