# points: 9 | hint:
from torch import nn

from mnistdiff.latent import EpsMLP


class EpsMLPCond(EpsMLP):
    def __init__(self, config):
        super().__init__(config)
        emb = config.emb_dim
        self.cond = nn.Sequential(nn.Linear(config.cond_dim, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.null_cond = nn.Parameter(torch.zeros(config.cond_dim))
        self.key = nn.Linear(config.cond_dim, emb)
        self.query = nn.Linear(config.latent_dim, emb)
        self.attention = nn.MultiheadAttention(emb, 2, batch_first=True)

    def forward(self, x_t, t, cond=None):
        if cond is None:
            cond = self.null_cond.expand(len(x_t), -1)
        tokens = torch.stack([self.cond(cond), self.key(cond)], dim=1)
        query = self.query(x_t)[:, None]
        attended, _ = self.attention(query, tokens, tokens)
        return self.denoise(x_t, self.embed_time(t) + attended[:, 0])
