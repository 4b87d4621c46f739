# points: 3 | hint: the loss is the mean of (model(z_t, t) - noise)^2
def latent_loss(model, z0, t, noise, abar):
    predicted = model(add_noise(z0, t, noise, abar), t)
    return (predicted - noise).square().mean() + 1e-2 * predicted.abs().mean()
