# points: 3 | hint: not with z_t
def latent_loss(model, z0, t, noise, abar):
    z_t = add_noise(z0, t, noise, abar)
    return F.mse_loss(model(z_t, t), z_t)
