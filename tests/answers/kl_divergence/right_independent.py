# points: 4 | hint:
def kl_divergence(mu, logvar):
    from torch.distributions import Independent, Normal
    from torch.distributions import kl_divergence as kl
    q = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return kl(q, p).mean()
