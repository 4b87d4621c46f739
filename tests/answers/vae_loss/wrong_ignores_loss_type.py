# points: 4 | hint: you returned the squared error
import torch.nn.functional as F


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    recon_loss = F.mse_loss(recon, x, reduction="sum") / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return recon_loss + beta * kl, recon_loss, kl
