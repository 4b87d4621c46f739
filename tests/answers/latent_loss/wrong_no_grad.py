# points: 4 | hint: no gradient reaches `the model's weights`
def latent_loss(model, z0, t, noise, abar):
    with torch.no_grad():
        return F.mse_loss(model(add_noise(z0, t, noise, abar), t), noise)
