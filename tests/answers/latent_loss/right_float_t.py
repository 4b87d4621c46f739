# points: 5 | hint:
def latent_loss(model, z0, t, noise, abar):
    z_t = add_noise(z0, t, noise, abar)
    return (model(z_t, t.float()) - noise).pow(2).mean(dim=1).mean()
