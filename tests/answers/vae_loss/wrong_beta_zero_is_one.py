# points: 4 | hint: beta is ignored
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    beta = beta or 1.0
    f = F.mse_loss if loss_type == "mse" else F.binary_cross_entropy
    rec = f(recon, x, reduction="sum") / len(x)
    k = kl_divergence(mu, logvar)
    return rec + beta * k, rec, k
