# points: 0 | hint: NaN or infinity
# visible: z contains NaN or infinity
def reparameterize(mu, logvar, noise):
    return mu + logvar.log() * noise
