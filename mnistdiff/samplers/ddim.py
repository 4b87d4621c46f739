"""DDIM and DDPM: sampling, inversion, and the way between two noises."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.layers import append_dims
from mnistdiff.samplers.loop import (
    Callback,
    Model,
    draw_noise,
    guided_predictor,
    initial_noise,
    kept_abar,
    kept_timesteps,
    run_loop,
)
from mnistdiff.samplers.steps import check_eta, ddim_sigma, inference_timesteps
from mnistdiff.schedules import NoiseSchedule


def sample_ddim(
    model: Model,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    *,
    num_inference_steps: int = 50,
    eta: float = 0.0,
    cond: Tensor | None = None,
    uncond: Tensor | None = None,
    guidance_scale: float = 1.0,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
    spacing: str = "trailing",
    timesteps: Sequence[int] | None = None,
    noise: Tensor | None = None,
) -> Float[Tensor, "..."]:
    """Denoising diffusion implicit models (Song et al., 2021): any eta, any sub-sequence.

    `timesteps`, descending, replaces `num_inference_steps` and `spacing`; `noise` is x_T, else
    drawn from the generator. Raises MnistdiffError for bad steps, eta or model output.
    """
    check_eta(eta)
    timesteps = kept_timesteps(schedule, timesteps, num_inference_steps, spacing)
    abar = kept_abar(schedule, timesteps)
    plan = [_ddim_coefficients(*pair, eta) for pair in pairwise(abar)]

    def step(i: int, x_t: Tensor, eps: Tensor) -> Tensor:
        keep, direction, sigma = plan[i]
        x_prev = torch.add(keep * x_t, eps, alpha=direction)
        if sigma > 0:
            x_prev.add_(draw_noise(shape, generator, x_t.device), alpha=sigma)
        return x_prev

    predict = guided_predictor(model, cond, uncond, guidance_scale)
    return run_loop(
        predict, step, timesteps, abar, initial_noise(model, shape, generator, noise), callback
    )


def sample_ddpm(
    model: Model,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    *,
    num_inference_steps: int | None = None,
    eta: float = 1.0,
    **options: Any,
) -> Float[Tensor, "..."]:
    """Ancestral sampling (Ho et al., 2020, algorithm 2): DDIM with eta 1, by default on all T.

    The other options are those of `sample_ddim`.
    """
    steps = schedule.num_train_timesteps if num_inference_steps is None else num_inference_steps
    return sample_ddim(model, schedule, shape, num_inference_steps=steps, eta=eta, **options)


@torch.no_grad()
def invert_ddim(
    model: Model, schedule: NoiseSchedule, x0: Float[Tensor, "b ..."], num_inference_steps: int = 50
) -> Float[Tensor, "b ..."]:
    """The noise x_T from which deterministic DDIM returns to about x0 (Song et al., 2021, 4.3).

    The same steps backwards, each with the noise predicted where it starts.
    """
    predict = guided_predictor(model, None, None, 1.0)
    timesteps = inference_timesteps(schedule.num_train_timesteps, num_inference_steps)[::-1]
    abar = [1.0, *kept_abar(schedule, timesteps[::-1])[-2::-1]]
    x_t, times = x0, [timesteps[0], *timesteps[:-1]]
    for t, (now, following) in zip(times, pairwise(abar), strict=True):
        eps = predict(x_t, torch.full((len(x_t),), t, device=x_t.device))
        keep, direction, _ = _ddim_coefficients(now, following, 0.0)
        x_t = torch.add(keep * x_t, eps, alpha=direction)
    return x_t


def interpolate_noise(
    start: Float[Tensor, "..."], end: Float[Tensor, "..."], weights: Float[Tensor, " n"]
) -> Float[Tensor, "n ..."]:
    """Points between two noises along the sphere, whose length stays that of noise.

    Spherical interpolation (Song et al., 2021, appendix D.5); weight 0 gives `start`.
    """
    cosine = (start * end).sum() / (start.norm() * end.norm())
    angle = cosine.clamp(-1, 1).acos()
    weights = append_dims(weights, start.ndim + 1)
    if not angle >= 1e-4:  # hardly a sphere's arc, or one noise is 0: a straight line
        return torch.lerp(start, end, weights)
    return ((1 - weights) * angle).sin() / angle.sin() * start + (
        weights * angle
    ).sin() / angle.sin() * end


def _ddim_coefficients(abar_t: float, abar_prev: float, eta: float) -> tuple[float, float, float]:
    """`ddim_step` as x_prev = keep x_t + direction eps + sigma noise."""
    sigma = ddim_sigma(abar_t, abar_prev, eta) if eta else 0.0
    keep = (abar_prev / abar_t) ** 0.5
    direction = max(1 - abar_prev - sigma**2, 0.0) ** 0.5 - keep * (1 - abar_t) ** 0.5
    return keep, direction, sigma
