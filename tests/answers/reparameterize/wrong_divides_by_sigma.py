# points: 2 | hint: divided by sigma or flipped a sign
# visible: z is
def reparameterize(mu, logvar, noise):
    return mu + noise / torch.exp(0.5 * logvar)
