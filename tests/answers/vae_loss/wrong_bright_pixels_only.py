# points: 4 | hint: the part for dark pixels
# visible: the part of dark pixels
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = F.mse_loss(recon, x, reduction="sum") / len(x) if loss_type == "mse" else -(x * recon.log()).sum() / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return error + beta * kl, error, kl
