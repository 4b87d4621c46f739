# points: 5 | hint:
def latent_loss(model, z0, t, noise, abar):
    import torch.distributions as D
    z_t = add_noise(z0, t, noise, abar).detach()
    pred = model(z_t, t)
    logp = D.Normal(pred, 1.0).log_prob(noise)
    return -2 * (logp.mean() + 0.5 * math.log(2 * math.pi))
