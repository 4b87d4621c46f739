# points: 4 | hint: every row gets the t of the first row
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t[:1].expand_as(t)), noise)
