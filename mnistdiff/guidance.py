"""Guidance: push a prediction away from a less informed one."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import append_dims

AUTOGUIDANCE = 2.25  # scale of the shipped models; book/networks.md says how it was chosen
GUIDED = (500, 800)  # autoguidance acts at these timesteps of 1000


def apply_guidance(
    eps_uncond: Float[Tensor, "b ..."], eps_cond: Float[Tensor, "b ..."], guidance_scale: float
) -> Float[Tensor, "b ..."]:
    """Return eps_uncond + s (eps_cond - eps_uncond); s = 1 means no guidance.

    Ho & Salimans, 2022, eq. 6; their weight is w = s - 1.
    """
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)


class Autoguided(nn.Module):
    """A noise predictor that is pushed away from a smaller one, trained only briefly.

    Both err in the same direction, the weak one further, so moving away from it improves the
    prediction; no prompt is needed (Karras et al., 2024, "Guiding a diffusion model with a bad
    version of itself"). It acts only at the timesteps of `GUIDED`: at high noise it costs
    diversity, at low noise it costs time and gains little (Kynkaanniemi et al., 2024). Raises
    MnistdiffError if scale is below 1 or not finite.
    """

    def __init__(self, model: nn.Module, weak: nn.Module, scale: float) -> None:
        super().__init__()
        if not 1 <= scale < math.inf:
            raise MnistdiffError(
                f"autoguidance is {scale}; it must be a finite number >= 1 (1 means none)."
            )
        self.model, self.weak, self.scale = model, weak, scale

    def forward(self, x_t: Float[Tensor, "b ..."], t: Int[Tensor, " b"]) -> Float[Tensor, "b ..."]:
        eps = self.model(x_t, t)
        guided = (GUIDED[0] <= t) & (t < GUIDED[1])
        if self.scale == 1 or not guided.any():
            return eps
        away = apply_guidance(self.weak(x_t, t), eps, self.scale)
        return torch.where(append_dims(guided, eps.ndim), away, eps)
