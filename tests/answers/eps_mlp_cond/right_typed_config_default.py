# points: 9 | hint:
from torch import Tensor, nn

from mnistdiff.latent import EpsMLP, EpsMLPCondConfig


class EpsMLPCond(EpsMLP):
    """Predicts the noise in a latent vector, given a condition."""

    def __init__(self, config: EpsMLPCondConfig | None = None) -> None:
        config = config or EpsMLPCondConfig()
        super().__init__(config)
        emb = config.emb_dim
        self.cond = nn.Sequential(nn.Linear(config.cond_dim, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.null_cond = nn.Parameter(torch.zeros(config.cond_dim))

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """eps (B, D)"""
        rows = self.null_cond[None].repeat(x_t.shape[0], 1) if cond is None else cond
        emb: Tensor = self.embed_time(t)
        emb += self.cond(rows)
        return self.denoise(x_t, emb)
