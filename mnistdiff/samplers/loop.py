"""The one loop behind every sampler, and the models that it calls."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.guidance import apply_guidance, check_guidance_span
from mnistdiff.samplers.steps import inference_timesteps
from mnistdiff.schedules import NoiseSchedule, predict_x0

Model = Callable[..., Tensor]
Callback = Callable[[int, int, Tensor, Tensor], Any]
Step = Callable[[int, Tensor, Tensor], Tensor]  # (step, x_t, prediction) -> next x_t
Observer = Callable[[int, Tensor, Tensor], Any]  # (step, x_t, prediction), before each step


class _EpsFromV(nn.Module):
    roots: Tensor

    def __init__(self, network: nn.Module, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.network = network
        abar = schedule.alphas_cumprod
        # (2, T), computed once: at batch 1 every operation counts
        self.register_buffer("roots", torch.stack([abar, 1 - abar]).sqrt(), persistent=False)

    def forward(self, x_t: Tensor, t: Int[Tensor, " b"], cond: Tensor | None = None) -> Tensor:
        v = self.network(x_t, t) if cond is None else self.network(x_t, t, cond)
        check_shape(v, x_t)
        signal, noise = self.roots[:, t].reshape(2, -1, *(1,) * (x_t.ndim - 1))
        return signal * v + noise * x_t  # `eps_from_v`


def as_eps(network: nn.Module, schedule: NoiseSchedule) -> nn.Module:
    """Wrap a network that predicts v as a model that predicts eps."""
    return _EpsFromV(network, schedule)


@torch.no_grad()
def run_loop(
    predict: Model,
    step: Step,
    times: Sequence[float],
    x_t: Tensor,
    observe: Observer | None = None,
) -> Tensor:
    """Predict at each time, call the observer, and take the sampler's step."""
    rows = torch.tensor(times, device=x_t.device)[:, None].expand(-1, len(x_t)).unbind()
    for i, t in enumerate(rows):
        prediction = predict(x_t, t)
        if observe is not None:
            observe(i, x_t, prediction)
        x_t = step(i, x_t, prediction)
    return x_t


def noise_observer(
    callback: Callback | None, timesteps: Sequence[int], abar: Sequence[float]
) -> Observer | None:
    """Return an observer that gives the callback the timestep and the predicted x0."""
    if callback is None:
        return None
    return lambda i, x_t, eps: callback(i, timesteps[i], x_t, predict_x0(x_t, eps, abar[i]))


def guided_predictor(
    model: Model,
    cond: Tensor | None,
    uncond: Tensor | None,
    guidance_scale: float,
    guidance_span: tuple[float, float] | None = None,
) -> Model:
    """Return the guided model as a function of x_t and t that checks the prediction's shape.

    Outside the timesteps low <= t < high of guidance_span, only the prediction given cond is made
    (Kynkaanniemi et al., 2024). Raises MnistdiffError if guidance_scale is not finite, or not 1
    while there is no cond, or if guidance_span is not a pair.
    """
    if guidance_span is not None:
        check_guidance_span(guidance_span)
    low, high = guidance_span or (-math.inf, math.inf)
    if not math.isfinite(guidance_scale):
        raise MnistdiffError(f"guidance_scale is {guidance_scale}; it must be a finite number.")
    if cond is None and guidance_scale != 1:
        raise MnistdiffError(
            f"guidance_scale is {guidance_scale}, but guidance needs a condition; pass cond, or "
            "leave guidance_scale at 1."
        )

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        if guidance_scale == 1 or not low <= float(t[0]) < high:  # one t for all rows
            eps = model(x_t, t) if cond is None else model(x_t, t, cond)
            check_shape(eps, x_t)
            return eps
        if uncond is None:
            eps_uncond, eps_cond = model(x_t, t), model(x_t, t, cond)
        else:  # both branches in one batch: the same work in half the calls
            both = model(x_t.repeat(2, *(1,) * (x_t.ndim - 1)), t.repeat(2), branches)
            eps_uncond, eps_cond = both.chunk(2)
        check_shape(eps_cond, x_t)
        return apply_guidance(eps_uncond, eps_cond, guidance_scale)

    branches = None if uncond is None or cond is None else torch.cat([uncond, cond])
    return predict


def check_shape(answer: Tensor, x_t: Tensor) -> None:
    if not isinstance(answer, Tensor):
        raise MnistdiffError(
            f"the model returned {type(answer).__name__}; a noise predictor returns one tensor of "
            f"its input's shape {tuple(x_t.shape)}. Wrap the model in a function that does so."
        )
    if answer.shape != x_t.shape:
        raise MnistdiffError(
            f"the model returned shape {tuple(answer.shape)} for an input of shape "
            f"{tuple(x_t.shape)}; a noise predictor must keep the shape."
        )


def initial_noise(
    model: Model,
    shape: Sequence[int],
    generator: torch.Generator | None,
    noise: Tensor | None,
) -> Tensor:
    if noise is not None and tuple(noise.shape) != tuple(shape):
        raise MnistdiffError(f"noise has shape {tuple(noise.shape)}, expected {tuple(shape)}.")
    weights = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = torch.device("cpu") if weights is None else weights.device
    if noise is None:
        return draw_noise(shape, generator, device)
    if noise.dtype == torch.float64 and weights is not None:  # from NumPy; the weights refuse it
        noise = noise.to(torch.promote_types(weights.dtype, torch.float32))
    return noise.to(device)


def draw_noise(
    shape: Sequence[int], generator: torch.Generator | None, device: torch.device
) -> Tensor:
    return torch.randn(tuple(shape), generator=generator).to(device)


def kept_timesteps(
    schedule: NoiseSchedule, timesteps: Sequence[int] | None, steps: int, spacing: str
) -> list[int]:
    """Return the explicit timesteps (list, tensor or array), otherwise those of the spacing."""
    if timesteps is None:
        return inference_timesteps(schedule.num_train_timesteps, steps, spacing)
    return [int(t) for t in timesteps]


def kept_abar(schedule: NoiseSchedule, timesteps: Sequence[int]) -> list[float]:
    """Return abar at the kept timesteps, then 1 for the clean image, as Python floats.

    Raises MnistdiffError if the timesteps do not fall or lie outside the schedule.
    """
    total = schedule.num_train_timesteps
    falling = all(before > after for before, after in pairwise(timesteps))
    if not timesteps or not falling or not 0 <= timesteps[-1] <= timesteps[0] < total:
        raise MnistdiffError(
            f"timesteps are {list(timesteps)}; they must fall from at most {total - 1} to at "
            "least 0, each smaller than the one before."
        )
    return [*schedule.alphas_cumprod[list(timesteps)].tolist(), 1.0]
