# points: 0 | hint: the loss does not depend on what the model predicts
def latent_loss(model, z0, t, noise, abar):
    return 0.0 * F.mse_loss(model(add_noise(z0, t, noise, abar), t), noise)
