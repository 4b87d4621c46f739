"""Diffusion in the VAE's latent space: a noise predictor for vectors, and the latents' scale."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import check_latents, timestep_embedding
from mnistdiff.schedules import add_noise


@dataclass(frozen=True)
class EpsMLPConfig:
    """A residual MLP on latent vectors."""

    latent_dim: int = 50
    width: int = 320
    blocks: int = 3
    emb_dim: int = 64

    def __post_init__(self) -> None:
        for name in ("latent_dim", "width", "blocks", "emb_dim"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise MnistdiffError(f"{name} is {value!r}; it must be a whole number >= 1.")


class TimedMLPBlock(nn.Module):
    """Residual block on vectors, (B, width) to the same, scaled and shifted by `emb` (B, E).

    It starts as the identity.
    """

    def __init__(self, width: int, emb_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.emb = nn.Linear(emb_dim, 2 * width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Float[Tensor, "b w"], emb: Float[Tensor, "b e"]) -> Float[Tensor, "b w"]:
        scale, shift = self.emb(emb).chunk(2, dim=1)
        h = torch.addcmul(shift, self.norm(x), 1 + scale)
        return x + self.outer(F.silu(self.inner(h)))


class EpsMLP(nn.Module):
    """Predicts the noise in a latent vector: `embed_time`, then `denoise`."""

    def __init__(self, config: EpsMLPConfig | None = None) -> None:
        super().__init__()
        self.config = config or EpsMLPConfig()
        dim, width, emb = self.config.latent_dim, self.config.width, self.config.emb_dim
        self.time = nn.Sequential(nn.Linear(emb, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.stem = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(TimedMLPBlock(width, emb) for _ in range(self.config.blocks))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))

    def embed_time(self, t: Int[Tensor, " b"]) -> Float[Tensor, "b e"]:
        """What the blocks are told about the time."""
        return self.time(timestep_embedding(t, self.config.emb_dim))

    def denoise(self, x_t: Float[Tensor, "b d"], emb: Float[Tensor, "b e"]) -> Float[Tensor, "b d"]:
        """Predict from a noisy latent and the embedding of everything else that is known."""
        check_latents(x_t, self.config.latent_dim)
        h, emb = self.stem(x_t), F.silu(emb)
        for block in self.blocks:
            h = block(h, emb)
        return self.head(h).float()

    def forward(self, x_t: Float[Tensor, "b d"], t: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        return self.denoise(x_t, self.embed_time(t))


@dataclass(frozen=True)
class EpsMLPCondConfig(EpsMLPConfig):
    """A residual MLP on latent vectors that is also told what to draw."""

    cond_dim: int = 128  # of the condition: a CLIP text embedding

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.cond_dim, int) or self.cond_dim < 1:
            raise MnistdiffError(f"cond_dim is {self.cond_dim!r}; it must be a whole number >= 1.")


class EpsMLPCond(EpsMLP):
    """Predicts the noise in a latent vector, given a condition.

    The condition joins the timestep embedding, which scales and shifts every block (adaptive
    normalisation: Perez et al., 2018; Peebles & Xie, 2023). Without a condition the learned
    `null_cond` (cond_dim,) stands in: the unconditional model of classifier-free guidance.
    """

    def __init__(self, config: EpsMLPCondConfig | None = None) -> None:
        config = config or EpsMLPCondConfig()
        super().__init__(config)
        emb = config.emb_dim
        self.cond = nn.Sequential(nn.Linear(config.cond_dim, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.null_cond = nn.Parameter(torch.zeros(config.cond_dim))

    def forward(
        self,
        x_t: Float[Tensor, "b d"],
        t: Int[Tensor, " b"],
        cond: Float[Tensor, "b c"] | None = None,
    ) -> Float[Tensor, "b d"]:
        if cond is None:
            cond = self.null_cond.expand(len(x_t), -1)
        if tuple(cond.shape) != (len(x_t), self.config.cond_dim):
            raise MnistdiffError(
                f"the condition has shape {tuple(cond.shape)}, not "
                f"({len(x_t)}, {self.config.cond_dim})."
            )
        return self.denoise(x_t, self.embed_time(t) + self.cond(cond))


def drop_condition(
    cond: Float[Tensor, "b c"], null_cond: Float[Tensor, " c"], drop: Bool[Tensor, " b"]
) -> Float[Tensor, "b c"]:
    """`null_cond` where `drop` is true (Ho & Salimans, 2022, algorithm 1)."""
    return torch.where(drop[:, None], null_cond, cond)


def compute_scaling_factor(latents: Float[Tensor, "n d"]) -> float:
    """1 / standard deviation over all entries: scaled latents have the noise's own size.

    Rombach et al., 2022, appendix G. Raises MnistdiffError for latents that do not vary.
    """
    spread = float(latents.double().std())
    if not spread > 0:
        raise MnistdiffError(f"the latents' standard deviation is {spread}; nothing to scale.")
    return 1 / spread


def latent_loss(
    model: nn.Module,
    z0: Float[Tensor, "b d"],
    t: Int[Tensor, " b"],
    noise: Float[Tensor, "b d"],
    abar: Float[Tensor, " T"],
) -> Float[Tensor, ""]:
    """Mean squared error of the noise that `model(z_t, t)` predicts (Rombach et al., eq. 2).

    z0 are scaled latents; mean over batch and dimensions.
    """
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t), noise)
