# points: 0 | hint: the noisy latents come first
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(t, add_noise(z0, t, noise, abar)), noise)
