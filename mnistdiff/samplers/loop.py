"""The one loop behind every sampler, and the models that it calls."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.guidance import apply_guidance, check_guidance_span
from mnistdiff.layers import append_dims, at_least_float32
from mnistdiff.samplers.steps import eps_from_v, inference_timesteps, split_prediction
from mnistdiff.schedules import NoiseSchedule

Model = Callable[..., Tensor]
Callback = Callable[[int, int, Tensor, Tensor], Any]
Generators = torch.Generator | Sequence[torch.Generator] | None
Step = Callable[[int, Tensor, Tensor], Tensor]  # (step, x_t, prediction) -> next x_t
Observer = Callable[[int, Tensor, Tensor], Any]  # (step, x_t, prediction), before each step


class EpsFromV(nn.Module):
    """A network that predicts v, called as a model that predicts eps."""

    def __init__(self, network: Model, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.network, self.schedule = network, schedule

    def forward(self, x_t: Tensor, t: Int[Tensor, " b"], cond: Tensor | None = None) -> Tensor:
        v = self.network(x_t, t) if cond is None else self.network(x_t, t, cond)
        check_shape(v, x_t)
        abar = self.schedule.alphas_cumprod.to(x_t.device)[t.to(x_t.device)]
        return eps_from_v(x_t, v, append_dims(abar, x_t.ndim))


def as_eps(network: Model, schedule: NoiseSchedule) -> nn.Module:
    """Wrap a network that predicts v as a model that predicts eps."""
    return EpsFromV(network, schedule)


def predictor(model: Model) -> tuple[Model, str]:
    """Return what a sampler calls, and its prediction type: behind `as_eps`, the v network."""
    return (model.network, "v_prediction") if isinstance(model, EpsFromV) else (model, "epsilon")


@torch.no_grad()
def run_loop(
    predict: Model,
    step: Step,
    times: Sequence[float],
    x_t: Tensor,
    observe: Observer | None = None,
) -> Tensor:
    """Predict at each time, call the observer, and take the sampler's step.

    The steps are taken in float32 or more, also for a model of half precision, whose rounding
    would add up; the result has the type of x_t.
    """
    dtype, x_t = x_t.dtype, at_least_float32(x_t)
    rows = torch.tensor(times, device=x_t.device)[:, None].expand(-1, len(x_t)).unbind()
    for i, t in enumerate(rows):
        prediction = predict(x_t, t)
        if observe is not None:
            observe(i, x_t, prediction)
        x_t = step(i, x_t, prediction)
    return x_t.to(dtype)


def noise_observer(
    callback: Callback | None,
    timesteps: Sequence[int],
    abar: Sequence[float],
    prediction_type: str,
) -> Observer | None:
    """Return an observer that gives the callback the timestep and the predicted x0."""
    if callback is None:
        return None

    def observe(i: int, x_t: Tensor, prediction: Tensor) -> None:
        x0_hat, _ = split_prediction(x_t, prediction, abar[i], prediction_type)
        callback(i, timesteps[i], x_t, x0_hat)

    return observe


def guided_predictor(
    model: Model,
    cond: Tensor | None,
    uncond: Tensor | None,
    guidance_scale: float,
    guidance_span: tuple[float, float] | None = None,
    like: Tensor | None = None,
) -> Model:
    """Return the guided model as a function of x_t and t that checks the prediction's shape.

    The model gets its inputs in the type and on the device of `like`, by default of its weights;
    the prediction has the type of x_t. Outside the timesteps low <= t < high of guidance_span, only
    the prediction given cond is made (Kynkaanniemi et al., 2024). Raises MnistdiffError if
    guidance_scale is not finite, or not 1 without a cond, or if guidance_span is not a pair.
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

    def call(x_t: Tensor, t: Tensor, cond: Tensor | None) -> Tensor:
        x_in = x_t if weights is None else x_t.to(weights)
        answer = model(x_in, t) if cond is None else model(x_in, t, cond)
        check_shape(answer, x_t)
        return answer.to(x_t.dtype)

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        if guidance_scale == 1 or not low <= float(t[0]) < high:  # one t for all rows
            return call(x_t, t, cond)
        if branches is None:
            return apply_guidance(call(x_t, t, None), call(x_t, t, cond), guidance_scale)
        # both branches in one batch: the same work in half the calls
        both = call(x_t.repeat(2, *(1,) * (x_t.ndim - 1)), t.repeat(2), branches)
        eps_uncond, eps_cond = both.chunk(2)
        return apply_guidance(eps_uncond, eps_cond, guidance_scale)

    weights = first_weight(model) if like is None else like
    if weights is not None:
        cond, uncond = (None if c is None else c.to(weights) for c in (cond, uncond))
    branches = None if uncond is None or cond is None else torch.cat([uncond, cond])
    return predict


def first_weight(model: Model) -> Tensor | None:
    """Return a floating-point parameter of the model, whose type and device are the model's."""
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    return next((p for p in parameters if p.is_floating_point()), None)


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
    generator: Generators,
    noise: Tensor | None,
) -> Tensor:
    """Return x_T in the type and on the device of the model; without `noise` it is drawn.

    Raises MnistdiffError for a shape without images, or a `noise` of another shape.
    """
    if not all(isinstance(size, Integral) and size >= 1 for size in shape) or not len(shape):
        raise MnistdiffError(
            f"shape is {tuple(shape)}; every size must be a whole number >= 1, the number of "
            "images first."
        )
    if noise is not None and tuple(noise.shape) != tuple(shape):
        raise MnistdiffError(f"noise has shape {tuple(noise.shape)}, expected {tuple(shape)}.")
    weights = first_weight(model)
    x_t = draw_noise(shape, generator) if noise is None else noise
    x_t = x_t if x_t.is_floating_point() else x_t.float()
    return x_t if weights is None else x_t.to(weights)


def draw_noise(shape: Sequence[int], generator: Generators) -> Float[Tensor, "..."]:
    """Draw float32 noise on the CPU, where one seed gives the same noise on every machine.

    With a list of generators each draws the noise of its image, as in diffusers. Raises
    MnistdiffError unless there is one for each image.
    """
    if generator is None or isinstance(generator, torch.Generator):
        return torch.randn(tuple(shape), generator=generator)
    if len(generator) != shape[0]:
        raise MnistdiffError(
            f"there are {len(generator)} generators for {shape[0]} images; give one for all, or "
            "one for each image."
        )
    return torch.stack([torch.randn(tuple(shape[1:]), generator=each) for each in generator])


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
