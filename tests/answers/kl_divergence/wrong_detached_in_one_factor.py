# points: 3.5 | hint: a part of the gradient at `mu`
def kl_divergence(mu, logvar):
    return 0.5 * (mu * mu.detach() + logvar.exp() - 1 - logvar).sum(1).mean()
