# points: 4 | hint: z_t lacks square roots
def latent_loss(model, z0, t, noise, abar):
    a = abar[t][:, None]
    return F.mse_loss(model(a * z0 + (1 - a) * noise, t), noise)
