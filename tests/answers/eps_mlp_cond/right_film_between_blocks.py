# points: 9 | hint:
import torch.nn.functional as F
from torch import nn

from mnistdiff.latent import EpsMLP


class EpsMLPCond(EpsMLP):
    def __init__(self, config):
        super().__init__(config)
        emb = config.emb_dim
        self.cond = nn.Sequential(nn.Linear(config.cond_dim, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.null_cond = nn.Parameter(torch.zeros(config.cond_dim))
        self.films = nn.ModuleList(nn.Linear(emb, 2 * config.width) for _ in self.blocks)

    def forward(self, x_t, t, cond=None):
        if cond is None:
            cond = self.null_cond.expand(len(x_t), -1)
        emb = self.embed_time(t)
        c = self.cond(cond)
        h = self.stem(x_t)
        for block, film in zip(self.blocks, self.films):
            scale, shift = film(c).chunk(2, 1)
            h = block(h, F.silu(emb)) * (1 + scale) + shift
        return self.head(h)
