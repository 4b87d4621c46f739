# points: 3 | hint: do not clip the prediction
def latent_loss(model, z0, t, noise, abar):
    eps = model(add_noise(z0, t, noise, abar), t)
    return (eps.clamp(min=0) - noise).square().mean()
