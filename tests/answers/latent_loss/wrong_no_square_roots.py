# points: 4 | hint: the square roots are missing in z_t
def latent_loss(model, z0, t, noise, abar):
    a = abar[t][:, None]
    return F.mse_loss(model(a * z0 + (1 - a) * noise, t), noise)
