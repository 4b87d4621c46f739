# points: 4 | hint: holds probabilities already
# visible: without logits
import torch.nn.functional as F


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = F.mse_loss if loss_type == "mse" else F.binary_cross_entropy_with_logits
    recon_loss = error(recon, x, reduction="sum") / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return recon_loss + beta * kl, recon_loss, kl
