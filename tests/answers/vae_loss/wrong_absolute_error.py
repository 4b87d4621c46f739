# points: 4 | hint: do not take its absolute value
# visible: absolute value of the error
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    error = F.l1_loss(recon, x, reduction="sum") / len(x) if loss_type == "mse" else F.binary_cross_entropy(recon, x, reduction="sum") / len(x)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()
    return error + beta * kl, error, kl
