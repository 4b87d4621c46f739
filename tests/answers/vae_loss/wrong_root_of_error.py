# points: 4 | hint: take no square root
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = ((recon - x) ** 2).sum().div(len(x)).sqrt() if loss_type == "mse" else F.binary_cross_entropy(recon, x, reduction="sum") / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return error + beta * kl, error, kl
