# points: 1 | hint: two calls with the same arguments give different results
import torch.nn.functional as F


def latent_loss(model, z0, t, noise, abar):
    """scalar"""
    jitter = torch.randn_like(noise)
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t) + jitter, noise)
