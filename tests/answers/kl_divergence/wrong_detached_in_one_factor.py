# points: 3.5 | hint: part of the gradient for `mu`
def kl_divergence(mu, logvar):
    return 0.5 * (mu * mu.detach() + logvar.exp() - 1 - logvar).sum(1).mean()
