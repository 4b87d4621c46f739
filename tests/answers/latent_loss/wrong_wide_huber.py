# points: 3 | hint: a root or a Huber loss
def latent_loss(model, z0, t, noise, abar):
    eps = model(add_noise(z0, t, noise, abar), t)
    return F.huber_loss(eps, noise, delta=0.3)
