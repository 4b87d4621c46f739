# points: 5 | hint:
def latent_loss(model, z0, t, noise, abar):
    z_t = add_noise(z0, t, noise, abar).detach()
    return torch.nn.MSELoss()(model(z_t, t).flatten(), noise.detach().flatten())
