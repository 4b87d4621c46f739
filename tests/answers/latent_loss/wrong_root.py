# points: 3 | hint: take no square root
# visible: square root at the end
def latent_loss(model, z0, t, noise, abar):
    eps = model(add_noise(z0, t, noise, abar), t)
    return F.mse_loss(eps, noise).sqrt()
