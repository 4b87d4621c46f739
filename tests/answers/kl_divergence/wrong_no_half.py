# points: 2.5 | hint: the factor 1/2 is missing
def kl_divergence(mu, logvar):
    return (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1).mean()
