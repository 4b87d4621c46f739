# points: 1 | hint: do not draw random numbers inside
def latent_loss(model, z0, t, noise, abar):
    noise = torch.randn_like(z0)
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t), noise)
