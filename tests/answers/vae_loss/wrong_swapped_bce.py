# points: 4 | hint: recon and x are swapped
# visible: recon and x are swapped
import torch.nn.functional as F


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    if loss_type == "mse":
        recon_loss = F.mse_loss(x, recon, reduction="sum") / len(x)
    else:
        recon_loss = F.binary_cross_entropy(x, recon, reduction="sum") / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return recon_loss + beta * kl, recon_loss, kl
