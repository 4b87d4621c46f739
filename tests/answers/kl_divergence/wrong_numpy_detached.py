# points: 3.5 | hint: no gradient reaches `mu`
# visible: no gradient reaches mu
def kl_divergence(mu, logvar):
    import numpy as np

    m, v = mu.detach().numpy(), logvar.detach().numpy()
    return torch.tensor((0.5 * (m**2 + np.exp(v) - 1 - v)).sum(1).mean())
