# points: 3.5 | hint: no gradient reaches `mu`
def kl_divergence(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean().item()
