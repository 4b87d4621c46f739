# points: 0 | hint: is sealed while this cell is checked
import mnistdiff.latent


def latent_loss(model, z0, t, noise, abar):
    return mnistdiff.latent.latent_loss(model, z0, t, noise, abar)
