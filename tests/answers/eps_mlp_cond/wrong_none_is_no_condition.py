# points: 7 | hint: cond=None must give the same eps as self.null_cond in every row
from torch import nn

from mnistdiff.latent import EpsMLP


class EpsMLPCond(EpsMLP):
    def __init__(self, config):
        super().__init__(config)
        emb = config.emb_dim
        self.cond = nn.Sequential(nn.Linear(config.cond_dim, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.null_cond = nn.Parameter(torch.zeros(config.cond_dim))

    def forward(self, x_t, t, cond=None):
        if cond is None:
            return self.denoise(x_t, self.embed_time(t))
        return self.denoise(x_t, self.embed_time(t) + self.cond(cond))
