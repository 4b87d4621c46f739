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
        self.film = nn.Linear(config.cond_dim, 2 * config.width)

    def forward(self, x_t, t, cond=None):
        if cond is None:
            cond = self.null_cond.expand(x_t.size(0), wide_of(self))
        scale, shift = self.film(cond).chunk(2, 1)
        h = self.stem(x_t) * (1 + scale) + shift
        emb = F.silu(self.embed_time(t))
        for block in self.blocks:
            h = block(h, emb)
        return self.head(h)

def wide_of(net):
    return net.null_cond.numel()
