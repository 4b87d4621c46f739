# points: 0 | hint: square root of a negative number
# visible: z contains NaN or infinity
def reparameterize(mu, logvar, noise):
    return mu + torch.sqrt(logvar) * noise
