# points: 3 | hint: this is a Huber loss
# visible: Huber (smooth L1)
def latent_loss(model, z0, t, noise, abar):
    eps = model(add_noise(z0, t, noise, abar), t)
    return F.smooth_l1_loss(eps, noise)
