# points: 3 | hint: divided by the batch size once more
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t), noise) / len(z0)
