# points: 3 | hint: not x0_hat with z0
# visible: error of x0_hat
def latent_loss(model, z0, t, noise, abar):
    eps = model(add_noise(z0, t, noise, abar), t)
    a = abar[t][:, None]
    z_t = a.sqrt() * z0 + (1 - a).sqrt() * noise
    return F.mse_loss((z_t - (1 - a).sqrt() * eps) / a.sqrt(), z0)
