"""Diffusion in the VAE's latent space: noise predictors for vectors, and the scaling factor."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import check_latents, timestep_embedding, zero_parameters
from mnistdiff.schedules import add_noise


@dataclass(frozen=True)
class EpsMLPConfig:
    """Architecture of a residual MLP on latent vectors."""

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

    It is initialised as the identity.
    """

    def __init__(self, width: int, emb_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.emb = nn.Linear(emb_dim, 2 * width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        zero_parameters(self.outer)

    def forward(self, x: Float[Tensor, "b w"], emb: Float[Tensor, "b e"]) -> Float[Tensor, "b w"]:
        scale, shift = self.emb(emb).chunk(2, dim=1)
        h = torch.addcmul(shift, self.norm(x), 1 + scale)
        return x + self.outer(F.silu(self.inner(h)))


class EpsMLP(nn.Module):
    """A noise predictor for latent vectors: `embed_time`, then `denoise`."""

    def __init__(self, config: EpsMLPConfig | None = None) -> None:
        super().__init__()
        self.config = config or EpsMLPConfig()
        dim, width, emb = self.config.latent_dim, self.config.width, self.config.emb_dim
        self.time = nn.Sequential(nn.Linear(emb, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.stem = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(TimedMLPBlock(width, emb) for _ in range(self.config.blocks))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))

    def embed_time(self, t: Int[Tensor, " b"]) -> Float[Tensor, "b e"]:
        """Embed the timesteps for the blocks."""
        return self.time(timestep_embedding(t, self.config.emb_dim).to(self.stem.weight.dtype))

    def denoise(self, x_t: Float[Tensor, "b d"], emb: Float[Tensor, "b e"]) -> Float[Tensor, "b d"]:
        """Predict from a noisy latent and the embedding of time (and condition)."""
        check_latents(x_t, self.config.latent_dim)
        dtype = self.stem.weight.dtype
        h, emb = self.stem(x_t.to(dtype)), F.silu(emb)
        for block in self.blocks:
            h = block(h, emb)
        return self.head(h).to(dtype)  # under autocast h has half precision

    def forward(self, x_t: Float[Tensor, "b d"], t: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        return self.denoise(x_t, self.embed_time(t))


@dataclass(frozen=True)
class EpsMLPCondConfig(EpsMLPConfig):
    """Architecture of a residual MLP on latent vectors that is given a condition."""

    cond_dim: int = 128  # width of the condition, a CLIP text embedding

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.cond_dim, int) or self.cond_dim < 1:
            raise MnistdiffError(f"cond_dim is {self.cond_dim!r}; it must be a whole number >= 1.")


class EpsMLPCond(EpsMLP):
    """A noise predictor for latent vectors, given a condition.

    The condition is added to the timestep embedding, which scales and shifts every block (adaptive
    normalisation: Perez et al., 2018; Peebles & Xie, 2023). Without a condition it uses the learned
    `null_cond` (cond_dim,): the unconditional model of classifier-free guidance.
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
        expected = (len(x_t), len(self.null_cond))
        if tuple(cond.shape) != expected:
            raise MnistdiffError(f"the condition has shape {tuple(cond.shape)}, not {expected}.")
        cond = cond.to(self.null_cond.dtype)
        return self.denoise(x_t, self.embed_time(t) + self.cond(cond))


def drop_condition(
    cond: Float[Tensor, "b c"], null_cond: Float[Tensor, " c"], drop: Bool[Tensor, " b"]
) -> Float[Tensor, "b c"]:
    """Replace cond by `null_cond` where `drop` is true (Ho & Salimans, 2022, algorithm 1)."""
    return torch.where(drop[:, None], null_cond, cond)


def compute_scaling_factor(latents: Float[Tensor, "n d"]) -> float:
    """Return 1 / standard deviation of all entries: scaled latents have variance 1, as the noise.

    Rombach et al., 2022, appendix G. Raises MnistdiffError if the latents do not vary.
    """
    spread = float(latents.double().std())
    if not spread > 0:
        raise MnistdiffError(f"the latents' standard deviation is {spread}: nothing to scale.")
    return 1 / spread


def latent_loss(
    model: nn.Module,
    z0: Float[Tensor, "b d"],
    t: Int[Tensor, " b"],
    noise: Float[Tensor, "b d"],
    abar: Float[Tensor, " T"],
) -> Float[Tensor, ""]:
    """Return the mean squared error of the noise that `model(z_t, t)` predicts.

    Rombach et al., 2022, eq. 2. z0 are scaled latents; mean over batch and dimensions.
    """
    return F.mse_loss(model(add_noise(z0, t, noise, abar), t), noise)
