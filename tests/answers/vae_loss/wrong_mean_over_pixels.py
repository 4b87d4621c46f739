# points: 3 | hint: you averaged over the pixels too
import torch.nn.functional as F


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = F.mse_loss if loss_type == "mse" else F.binary_cross_entropy
    recon_loss = error(recon, x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return recon_loss + beta * kl, recon_loss, kl
