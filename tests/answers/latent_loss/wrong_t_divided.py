# points: 4 | hint: you divided t by T
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t / len(abar)), noise)
