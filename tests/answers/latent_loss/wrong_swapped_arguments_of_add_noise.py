# points: 4 | hint: z0 and noise are swapped in z_t
def latent_loss(model, z0, t, noise, abar):
    return F.mse_loss(model(add_noise(noise, t, z0, abar), t), noise)
