"""DDIM and DDPM: sampling, inversion, and interpolation between two noises."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.layers import append_dims
from mnistdiff.samplers.loop import (
    Callback,
    Generators,
    Model,
    draw_noise,
    guided_predictor,
    initial_noise,
    kept_abar,
    kept_timesteps,
    noise_observer,
    predictor,
    run_loop,
)
from mnistdiff.samplers.steps import check_eta, ddim_coefficients, inference_timesteps
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
    guidance_span: tuple[float, float] | None = None,
    generator: Generators = None,
    callback: Callback | None = None,
    spacing: str = "trailing",
    timesteps: Sequence[int] | None = None,
    noise: Tensor | None = None,
) -> Float[Tensor, "..."]:
    """Sample by DDIM (Song et al., 2021) with any eta on any sub-sequence of timesteps.

    `timesteps`, descending, replaces `num_inference_steps` and `spacing`. `noise` is x_T; without
    it x_T is drawn from the generator; of a list of generators each draws one image. Raises
    MnistdiffError for steps, eta or guidance out of range, or if the model's output does not have
    the shape of its input.
    """
    check_eta(eta)
    timesteps = kept_timesteps(schedule, timesteps, num_inference_steps, spacing)
    abar = kept_abar(schedule, timesteps)
    network, predicted = predictor(model)
    plan = [ddim_coefficients(*pair, eta, predicted) for pair in pairwise(abar)]

    def step(i: int, x_t: Tensor, prediction: Tensor) -> Tensor:
        keep, direction, sigma = plan[i]
        x_prev = torch.add(keep * x_t, prediction, alpha=direction)
        if sigma > 0:
            x_prev.add_(draw_noise(shape, generator).to(x_t), alpha=sigma)
        return x_prev

    x_t = initial_noise(network, shape, generator, noise)
    predict = guided_predictor(network, cond, uncond, guidance_scale, guidance_span, like=x_t)
    observe = noise_observer(callback, timesteps, abar, predicted)
    return run_loop(predict, step, timesteps, x_t, observe)


def sample_ddpm(
    model: Model,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    *,
    num_inference_steps: int | None = None,
    eta: float = 1.0,
    **options: Any,
) -> Float[Tensor, "..."]:
    """Sample by DDPM (Ho et al., 2020, algorithm 2): DDIM with eta 1, by default on all T.

    `sample_ddim` describes the other options.
    """
    steps = schedule.num_train_timesteps if num_inference_steps is None else num_inference_steps
    return sample_ddim(model, schedule, shape, num_inference_steps=steps, eta=eta, **options)


def invert_ddim(
    model: Model, schedule: NoiseSchedule, x0: Float[Tensor, "b ..."], num_inference_steps: int = 50
) -> Float[Tensor, "b ..."]:
    """Return the noise x_T that deterministic DDIM turns into about x0 (Song et al., 2021, 4.3).

    It takes DDIM's steps backwards, each with the noise predicted at the step's start.
    """
    timesteps = inference_timesteps(schedule.num_train_timesteps, num_inference_steps)[::-1]
    abar = [1.0, *kept_abar(schedule, timesteps[::-1])[-2::-1]]
    # eps, also for a v network: the first step calls it at a timestep other than x_t's own
    plan = [ddim_coefficients(*pair, 0.0, "epsilon") for pair in pairwise(abar)]

    def step(i: int, x_t: Tensor, eps: Tensor) -> Tensor:
        keep, direction, _ = plan[i]
        return torch.add(keep * x_t, eps, alpha=direction)

    x_t = initial_noise(model, x0.shape, None, x0)
    predict = guided_predictor(model, cond=None, uncond=None, guidance_scale=1.0, like=x_t)
    return run_loop(predict, step, [timesteps[0], *timesteps[:-1]], x_t)


def interpolate_noise(
    start: Float[Tensor, "..."], end: Float[Tensor, "..."], weights: Float[Tensor, " n"]
) -> Float[Tensor, "n ..."]:
    """Return points between two noises along the sphere, so that they keep the length of noise.

    Spherical interpolation (Song et al., 2021, appendix D.5); weight 0 gives `start`, 1 `end`.
    """
    cosine = (start * end).sum() / (start.norm() * end.norm())
    angle = cosine.clamp(-1, 1).acos()
    weights = append_dims(weights, start.ndim + 1)
    if not angle >= 1e-4:  # almost parallel, or one noise is 0: a straight line
        return torch.lerp(start, end, weights)
    return ((1 - weights) * angle).sin() / angle.sin() * start + (
        weights * angle
    ).sin() / angle.sin() * end
