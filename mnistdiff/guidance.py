"""Guidance: push a prediction away from one that knows less."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import append_dims

AUTOGUIDANCE = 2.25  # scale of the shipped models; how it was chosen: book/networks.md
GUIDED = (500, 800)  # timesteps of 1000 at which autoguidance is at work


def apply_guidance(
    eps_uncond: Float[Tensor, "b ..."], eps_cond: Float[Tensor, "b ..."], guidance_scale: float
) -> Float[Tensor, "b ..."]:
    """eps_uncond + s (eps_cond - eps_uncond); s = 1 is no guidance (Ho & Salimans, 2022, eq. 6).

    Their weight is w = s - 1.
    """
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)


class Autoguided(nn.Module):
    """A noise predictor that is pushed away from a smaller, hardly trained one.

    Both err in the same direction, the weak one further: the opposite direction is a better
    prediction, also where there is no prompt to drop (Karras et al., 2024, "Guiding a diffusion
    model with a bad version of itself"). Only at the timesteps of `GUIDED`: at high noise it
    costs diversity, at low noise it is time for little (Kynkaanniemi et al., 2024). Raises
    MnistdiffError for a scale below 1.
    """

    def __init__(self, model: nn.Module, weak: nn.Module, scale: float) -> None:
        super().__init__()
        if not 1 <= scale < math.inf:
            raise MnistdiffError(
                f"autoguidance is {scale}; it must be a number of at least 1 (1: none)."
            )
        self.model, self.weak, self.scale = model, weak, scale

    def forward(self, x_t: Float[Tensor, "b ..."], t: Int[Tensor, " b"]) -> Float[Tensor, "b ..."]:
        eps = self.model(x_t, t)
        guided = (GUIDED[0] <= t) & (t < GUIDED[1])
        if self.scale == 1 or not guided.any():
            return eps
        away = apply_guidance(self.weak(x_t, t), eps, self.scale)
        return torch.where(append_dims(guided, eps.ndim), away, eps)
