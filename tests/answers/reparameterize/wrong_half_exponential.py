# points: 2 | hint: entry by entry
# visible: z is
def reparameterize(mu, logvar, noise):
    return mu + 0.5 * logvar.exp() * noise
