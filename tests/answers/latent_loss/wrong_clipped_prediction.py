# points: 3 | hint: do not clip the prediction
# visible: do not clip the prediction to [-1, 1]
def latent_loss(model, z0, t, noise, abar):
    eps = model(add_noise(z0, t, noise, abar), t)
    return F.mse_loss(eps.clamp(-1, 1), noise)
