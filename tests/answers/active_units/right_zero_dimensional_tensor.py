# points: 3 | hint:
import torch


def active_units(mu, threshold=0.01):
    return torch.count_nonzero(torch.var(mu, 0, correction=0).gt(threshold))
