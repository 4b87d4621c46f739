"""Classifier-free guidance: push the prediction away from what the model says unconditionally."""

from jaxtyping import Float
from torch import Tensor


def apply_guidance(
    eps_uncond: Float[Tensor, "b ..."], eps_cond: Float[Tensor, "b ..."], guidance_scale: float
) -> Float[Tensor, "b ..."]:
    """eps_uncond + s (eps_cond - eps_uncond); s = 1 is no guidance (Ho & Salimans, 2022, eq. 6).

    Their weight is w = s - 1.
    """
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)
