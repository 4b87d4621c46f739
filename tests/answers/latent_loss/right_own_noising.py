# points: 5 | hint:
def latent_loss(model, z0, t, noise, abar):
    a = abar[t].unsqueeze(1)
    z_t = a.sqrt() * z0 + (1 - a).sqrt() * noise
    error = model(z_t, t) - noise
    return (error * error).mean()
