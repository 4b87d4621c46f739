# points: 5 | hint:
import torch.nn.functional as F


def one_image(recon, x, mu, logvar, loss_type):
    if loss_type == "mse":
        error = F.mse_loss(recon, x, reduction="sum")
    else:
        error = F.binary_cross_entropy(recon, x, reduction="sum")
    return error, ((mu @ mu) + logvar.exp().sum() - len(mu) - logvar.sum()) / 2


def vae_loss(recon, x, mu, logvar, beta, loss_type):
    recon_sum = kl_sum = 0
    for image in zip(recon, x, mu, logvar):
        r, k = one_image(*image, loss_type)
        recon_sum += r
        kl_sum += k
    n = len(x)
    return [(recon_sum + beta * kl_sum) / n, recon_sum / n, kl_sum / n]
