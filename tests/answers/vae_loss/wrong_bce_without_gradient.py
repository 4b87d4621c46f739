# points: 4 | hint: no gradient reaches `recon`
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    if loss_type == "mse":
        rec = F.mse_loss(recon, x, reduction="sum") / len(x)
    else:
        with torch.no_grad():
            rec = F.binary_cross_entropy(recon, x, reduction="sum") / len(x)
    k = kl_divergence(mu, logvar)
    return rec + beta * k, rec, k
