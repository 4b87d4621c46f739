# points: 3 | hint: an entry of the prediction has no effect
def latent_loss(model, z0, t, noise, abar):
    return (model(add_noise(z0, t, noise, abar), t) - noise)[-1].square().mean()
