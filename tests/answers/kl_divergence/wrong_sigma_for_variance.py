# points: 2.5 | hint: you used sigma instead of sigma^2
def kl_divergence(mu, logvar):
    sigma = (0.5 * logvar).exp()
    return (0.5 * (mu**2 + sigma - 1 - logvar)).sum(1).mean()
