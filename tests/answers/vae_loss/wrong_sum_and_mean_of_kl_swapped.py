# points: 4 | hint: not the other way round
# visible: it is the other way round
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = F.mse_loss(recon, x, reduction="sum") / len(x) if loss_type == "mse" else F.binary_cross_entropy(recon, x, reduction="sum") / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(0).mean()
    return error + beta * kl, error, kl
