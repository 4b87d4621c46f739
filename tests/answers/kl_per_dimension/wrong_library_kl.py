# points: 0 | hint: is sealed while this cell is checked
from mnistdiff.vae import kl_divergence as library


def kl_per_dimension(mu, logvar):
    return torch.stack([library(mu[:, [d]], logvar[:, [d]]) for d in range(mu.shape[1])])
