# points: 0 | hint: does not depend on what the model predicts
def latent_loss(model, z0, t, noise, abar):
    return (model(z0, 0 * t) != 0).float().mean()
