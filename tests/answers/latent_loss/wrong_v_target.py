# points: 3 | hint: not with v
def latent_loss(model, z0, t, noise, abar):
    a = abar[t][:, None]
    v = a.sqrt() * noise - (1 - a).sqrt() * z0
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t), v)
