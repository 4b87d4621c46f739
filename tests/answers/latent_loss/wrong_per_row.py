# points: 0 | hint: average over all entries
def latent_loss(model, z0, t, noise, abar):
    return (model(add_noise(z0, t, noise, abar), t) - noise).square().mean(1)
