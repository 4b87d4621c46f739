# points: 0 | hint: `is None` to ask
# visible: `is None` to ask
from torch import nn

from mnistdiff.latent import EpsMLP


class EpsMLPCond(EpsMLP):
    def __init__(self, config):
        super().__init__(config)
        wide, emb = config.cond_dim, config.emb_dim
        self.cond = nn.Sequential(nn.Linear(wide, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.null_cond = nn.Parameter(torch.zeros(wide))
    def forward(self, x_t, t, cond=None):
        if not cond:
            cond=self.null_cond.expand(len(x_t),-1)
        return self.denoise(x_t, self.embed_time(t)+self.cond(cond))
