# points: 4 | hint: the model is given abar_t
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(add_noise(z0, t, noise, abar), abar[t]), noise)
