# points: 5 | hint:
import torch


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    if loss_type == "mse":
        per_pixel = (recon - x) ** 2
    elif loss_type == "bce":
        p = recon.clamp(1e-6, 1 - 1e-6)
        per_pixel = -(x * p.log() + (1 - x) * torch.log(1 - p))
    else:
        raise ValueError(loss_type)
    reconstruction = per_pixel.sum(dim=(1, 2, 3)).mean()
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(dim=-1).mean()
    return reconstruction + kl * beta, reconstruction, kl
