# points: 3 | hint: neither a weight (SNR) nor the target
# visible: min-SNR
def latent_loss(model, z0, t, noise, abar):
    eps = model(add_noise(z0, t, noise, abar), t)
    snr = (abar[t] / (1 - abar[t]))[:, None]
    return ((snr.clamp(max=5) / snr) * (eps - noise) ** 2).mean()
