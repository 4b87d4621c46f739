# points: 4 | hint: the model is given z0
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(z0, t), noise)
