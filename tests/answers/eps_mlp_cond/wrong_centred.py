# points: 7 | hint: the entries of each row of eps add up to 0
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
            cond = self.null_cond.expand(len(x_t), -1)
        eps = self.denoise(x_t, self.embed_time(t) + self.cond(cond))
        return eps - eps.mean(1, keepdim=True)
