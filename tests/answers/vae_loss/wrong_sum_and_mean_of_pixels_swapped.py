# points: 4 | hint: the wrong way round
# visible: averaged over the pixels
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = ((recon - x) ** 2).sum(0).mean() if loss_type == "mse" else F.binary_cross_entropy(recon, x, reduction="sum") / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return error + beta * kl, error, kl
