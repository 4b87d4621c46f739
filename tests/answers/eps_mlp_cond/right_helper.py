# points: 9 | hint:
from torch import nn

from mnistdiff.latent import EpsMLP
from mnistdiff.layers import timestep_embedding


class EpsMLPCond(EpsMLP):
    def __init__(self, config):
        super().__init__(config)
        emb = config.emb_dim
        self.cond = nn.Sequential(nn.Linear(config.cond_dim, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.null_cond = nn.Parameter(torch.zeros(config.cond_dim))

    def or_null(self, cond, n):
        return cond if cond is not None else torch.stack([self.null_cond] * n)

    def everything(self, t, cond):
        return sum([self.time(timestep_embedding(t, self.config.emb_dim)), self.cond(cond)])

    def forward(self, x_t, t, cond=None):
        return self.denoise(x_t, self.everything(t, self.or_null(cond, len(x_t))))
