# points: 5 | hint:
import torch.nn.functional as F


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = F.mse_loss if loss_type == "mse" else F.binary_cross_entropy
    recon_loss = error(recon, x, reduction="sum") / len(x)
    kl = kl_divergence(mu, logvar)  # the cell above
    return recon_loss + beta * kl, recon_loss, kl
