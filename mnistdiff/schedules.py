"""Noise schedules: how much of the digit remains at each of T timesteps.

`t` is 0-based: t = 0 is the least noisy step, t = T - 1 almost pure noise. `abar` is
`alphas_cumprod`, the share of the variance that is still signal.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import append_dims

MAX_BETA = 0.999


class NoiseSchedule:
    """betas (T,) in (0, 1) with alphas = 1 - betas and their cumulative product, all float32.

    The product is computed in float32, as in diffusers. Raises MnistdiffError for other betas.
    """

    def __init__(self, betas: Float[Tensor, " T"]) -> None:
        self.betas = torch.as_tensor(betas).float()
        self.alphas = 1 - self.betas
        fits = self.betas.ndim == 1 and len(self.betas) > 0
        self.alphas_cumprod = self.alphas.cumprod(dim=0) if fits else self.alphas
        inside = [((x > 0) & (x < 1)).all() for x in (self.betas, self.alphas_cumprod)]
        if not fits or not all(inside):
            values = f"from {self.betas.min():g} to {self.betas.max():g}" if fits else "none"
            raise MnistdiffError(
                f"betas have shape {tuple(self.betas.shape)}, values {values}; expected (T,) with "
                "T >= 1, every value above 0 and below 1, and the same for abar in float32."
            )

    @property
    def num_train_timesteps(self) -> int:
        """Return T."""
        return len(self.betas)


def linear_beta_schedule(
    num_train_timesteps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Float[Tensor, " T"]:
    """Return betas that rise in equal steps (Ho et al., 2020, section 4)."""
    _check_length(num_train_timesteps)
    return torch.linspace(beta_start, beta_end, num_train_timesteps)


def cosine_beta_schedule(num_train_timesteps: int = 1000) -> Float[Tensor, " T"]:
    """Return betas whose abar falls along a squared cosine (Nichol & Dhariwal, 2021, eq. 17)."""
    _check_length(num_train_timesteps)
    times = torch.arange(num_train_timesteps + 1, dtype=torch.float64) / num_train_timesteps
    abar = ((times + 0.008) / 1.008 * math.pi / 2).cos().square()
    return (1 - abar[1:] / abar[:-1]).clamp(max=MAX_BETA).float()


def _check_length(num_train_timesteps: int) -> None:
    if not isinstance(num_train_timesteps, int) or num_train_timesteps < 1:
        raise MnistdiffError(
            f"num_train_timesteps is {num_train_timesteps!r}; it must be a whole number >= 1."
        )


def add_noise(
    x0: Float[Tensor, "b ..."],
    t: Int[Tensor, " b"],
    noise: Float[Tensor, "b ..."],
    abar: Float[Tensor, " T"],
) -> Float[Tensor, "b ..."]:
    """Return x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise (Ho et al., 2020, eq. 4)."""
    signal, sigma = _roots(abar, t, x0)
    return signal * x0 + sigma * noise


def velocity(
    x0: Float[Tensor, "b ..."],
    t: Int[Tensor, " b"],
    noise: Float[Tensor, "b ..."],
    abar: Float[Tensor, " T"],
) -> Float[Tensor, "b ..."]:
    """Return v = sqrt(abar_t) noise - sqrt(1 - abar_t) x0 (Salimans & Ho, 2022, appendix D)."""
    signal, sigma = _roots(abar, t, x0)
    return signal * noise - sigma * x0


def _roots(abar: Tensor, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return sqrt(abar_t) and sqrt(1 - abar_t), (B, 1, ...), in the type and place of `like`."""
    kept = append_dims(abar.to(like.device)[torch.as_tensor(t, device=like.device)], like.ndim)
    dtype = like.dtype if like.is_floating_point() else kept.dtype
    return kept.sqrt().to(dtype), (1 - kept).sqrt().to(dtype)


def predict_x0(
    x_t: Float[Tensor, "..."], eps: Float[Tensor, "..."], abar_t: Float[Tensor, "..."] | float
) -> Float[Tensor, "..."]:
    """Return x0_hat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t): `add_noise` solved for x0."""
    return (x_t - (1 - abar_t) ** 0.5 * eps) / abar_t**0.5
