# points: 0 | hint: one t per row
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t[:, None]), noise)
