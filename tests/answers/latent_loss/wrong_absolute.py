# points: 3 | hint: square the error
def latent_loss(model, z0, t, noise, abar):
    return F.l1_loss(model(add_noise(z0, t, noise, abar), t), noise)
