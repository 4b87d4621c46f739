# points: 3 | hint: call the model as model(z_t, t)
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(add_noise(z0, t, noise, abar).flip(0), t.flip(0)), noise)
