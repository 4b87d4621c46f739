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
        self.q, self.k, self.v = nn.Linear(config.width, emb), nn.Linear(emb, emb), nn.Linear(emb, emb)
        self.o = nn.Linear(emb, config.width)

    def forward(self, x_t, t, cond=None):
        if cond is None:
            cond = self.null_cond[None].expand(x_t.shape[0], -1)
        c, e = self.cond(cond), self.embed_time(t)
        tokens = torch.stack([c, e], 1)
        h = self.stem(x_t)
        for block in self.blocks:
            a = F.scaled_dot_product_attention(self.q(h)[:, None], self.k(tokens), self.v(tokens))[:, 0]
            h = block(h + self.o(a), F.silu(e))
        return self.head(h)
