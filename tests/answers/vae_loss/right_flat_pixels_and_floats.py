# points: 5 | hint:
import torch.nn.functional as F


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    recon, x = recon.reshape(-1, 784), x.reshape(-1, 784)
    kind = {"mse": F.mse_loss, "bce": F.binary_cross_entropy}[loss_type]
    recon_loss = kind(recon, x) * 784
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return recon_loss + beta * kl, recon_loss.item(), float(kl)
