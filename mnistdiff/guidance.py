"""Guidance: push a prediction away from a less informed one."""

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import append_dims

AUTOGUIDANCE = 2.25  # scale of the shipped models; book/networks.md says how it was chosen
GUIDED = (500, 800)  # autoguidance acts at these timesteps of 1000
EVERYWHERE = (0, 1000)  # the span of all timesteps of 1000


def apply_guidance(
    eps_uncond: Float[Tensor, "b ..."], eps_cond: Float[Tensor, "b ..."], guidance_scale: float
) -> Float[Tensor, "b ..."]:
    """Return eps_uncond + s (eps_cond - eps_uncond); s = 1 means no guidance.

    Ho & Salimans, 2022, eq. 6; their weight is w = s - 1.
    """
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)


def check_guidance_span(span: Any) -> None:
    """Raise MnistdiffError unless span is a pair of timesteps with 0 <= low < high."""
    numbers = isinstance(span, (tuple, list)) and all(isinstance(edge, Real) for edge in span)
    if not numbers or len(span) != 2 or not 0 <= span[0] < span[1] < math.inf:
        raise MnistdiffError(
            f"guidance_span is {span!r:.60}; it must be two timesteps (low, high) with 0 <= low < "
            "high: guidance acts at low <= t < high."
        )


class Autoguided(nn.Module):
    """A noise predictor that is pushed away from a smaller one, trained only briefly.

    Both err in the same direction, the weak one further, so moving away from it improves the
    prediction; no prompt is needed (Karras et al., 2024, "Guiding a diffusion model with a bad
    version of itself"). It acts only at the timesteps low <= t < high of `span`: at high noise it
    costs diversity, at low noise it costs time and gains little (Kynkaanniemi et al., 2024).
    Raises MnistdiffError if scale is below 1 or not finite, or if span is not a pair.
    """

    def __init__(
        self,
        model: Callable[..., Tensor],
        weak: Callable[..., Tensor],
        scale: float,
        span: tuple[float, float] = GUIDED,
    ) -> None:
        super().__init__()
        if not 1 <= scale < math.inf:
            raise MnistdiffError(
                f"autoguidance is {scale}; it must be a finite number >= 1 (1 means none)."
            )
        check_guidance_span(span)
        self.model, self.weak, self.scale, self.span = model, weak, scale, span

    def forward(self, x_t: Float[Tensor, "b ..."], t: Int[Tensor, " b"]) -> Float[Tensor, "b ..."]:
        eps = self.model(x_t, t)
        guided = (self.span[0] <= t) & (t < self.span[1])
        if self.scale == 1 or not guided.any():
            return eps
        away = apply_guidance(self.weak(x_t, t), eps, self.scale)
        return torch.where(append_dims(guided, eps.ndim), away, eps)
