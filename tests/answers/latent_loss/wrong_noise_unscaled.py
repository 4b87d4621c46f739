# points: 4 | hint: you added the noise without scales
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(z0 + noise, t), noise)
