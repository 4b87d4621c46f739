# points: 4 | hint: `recon` itself was changed
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    if loss_type == "mse":
        recon -= x
        rec = recon.square().sum() / len(x)
    else:
        rec = F.binary_cross_entropy(recon, x, reduction="sum") / len(x)
    k = kl_divergence(mu, logvar)
    return rec + beta * k, rec, k
