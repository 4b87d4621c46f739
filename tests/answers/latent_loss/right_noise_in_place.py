# points: 5 | hint:
def latent_loss(model, z0, t, noise, abar):
    target = noise.clone()
    z_t = abar[t][:, None].sqrt() * z0 + noise.mul_((1 - abar[t])[:, None].sqrt())
    return F.mse_loss(model(z_t, t), target)
