# points: 5 | hint:
import torch.nn.functional as F


def latent_loss(model, z0, t, noise, abar):
    """scalar"""
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t), noise)
