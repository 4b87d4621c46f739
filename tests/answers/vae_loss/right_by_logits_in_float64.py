# points: 5 | hint:
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    recon, x = recon.double(), x.double()
    logits = torch.logit(recon)
    if loss_type == "bce":
        rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / x.shape[0]
    else:
        rec = (recon - x).square().sum() / x.shape[0]
    kl = kl_divergence(mu.double(), logvar.double())
    return rec + beta * kl, rec, kl
