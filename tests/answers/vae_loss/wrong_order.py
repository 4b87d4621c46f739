# points: 0 | hint: return the results in the order total, recon, kl
import torch.nn.functional as F


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = F.mse_loss if loss_type == "mse" else F.binary_cross_entropy
    recon_loss = error(recon, x, reduction="sum") / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return recon_loss, kl, recon_loss + beta * kl
