# points: 4 | hint:
from torch.distributions import Normal

reparameterize = lambda mu, logvar, noise: (  # noqa: E731
    Normal(mu, (logvar / 2).exp()).loc + Normal(mu, (logvar / 2).exp()).scale * noise
)
