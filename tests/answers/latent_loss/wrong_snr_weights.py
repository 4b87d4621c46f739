# points: 3 | hint: neither a weight (SNR) nor the target
# visible: weighted by their SNR
def latent_loss(model, z0, t, noise, abar):
    eps = model(add_noise(z0, t, noise, abar), t)
    weight = (abar[t] / (1 - abar[t]))[:, None]
    return (weight * (eps - noise) ** 2).mean()
