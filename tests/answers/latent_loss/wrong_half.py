# points: 3 | hint: no factor 1/2
def latent_loss(model, z0, t, noise, abar):
    return 0.5 * F.mse_loss(model(add_noise(z0, t, noise, abar), t), noise)
