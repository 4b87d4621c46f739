# points: 3.5 | hint: part of the gradient for `logvar`
def kl_divergence(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp().detach() - 1 - logvar).sum(1).mean()
