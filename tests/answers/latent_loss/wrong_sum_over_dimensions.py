# points: 3 | hint: you summed over the latent dimensions
def latent_loss(model, z0, t, noise, abar):
    return (model(add_noise(z0, t, noise, abar), t) - noise).square().sum(1).mean()
