"""Samplers that need fewer steps: DPM-Solver++, Heun, and Euler along a flow."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.samplers.loop import (
    Callback,
    Generators,
    Model,
    guided_predictor,
    initial_noise,
    kept_abar,
    kept_timesteps,
    noise_observer,
    predictor,
    run_loop,
)
from mnistdiff.samplers.steps import inference_timesteps, split_prediction, v_from_eps
from mnistdiff.schedules import NoiseSchedule


def sample_dpmpp_2m(
    model: Model,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    *,
    num_inference_steps: int = 20,
    eta: float = 0.0,
    cond: Tensor | None = None,
    uncond: Tensor | None = None,
    guidance_scale: float = 1.0,
    guidance_span: tuple[float, float] | None = None,
    generator: Generators = None,
    callback: Callback | None = None,
    timesteps: Sequence[int] | None = None,
    noise: Tensor | None = None,
) -> Float[Tensor, "..."]:
    """Sample by DPM-Solver++(2M) (Lu et al., 2022, algorithm 2), with one evaluation per step.

    It keeps the last predicted x0 and extrapolates along half the log signal-to-noise ratio; the
    first and the last step are DDIM's. Raises as `sample_ddim`, and if eta is not 0.
    """
    _refuse_eta(eta, "DPM-Solver++")
    timesteps = kept_timesteps(schedule, timesteps, num_inference_steps, "trailing")
    abar = kept_abar(schedule, timesteps)
    half_log_snr = [0.5 * math.log(a / (1 - a)) for a in abar[:-1]] + [math.inf]
    length = [after - before for before, after in pairwise(half_log_snr)]
    last_x0: Tensor | None = None

    network, predicted = predictor(model)

    def step(i: int, x_t: Tensor, prediction: Tensor) -> Tensor:
        nonlocal last_x0
        x0_hat, _ = split_prediction(x_t, prediction, abar[i], predicted)
        ahead = x0_hat
        if last_x0 is not None and i < len(length) - 1:
            weight = 0.5 * length[i] / length[i - 1]
            ahead = (1 + weight) * x0_hat - weight * last_x0
        last_x0 = x0_hat
        signal, noise_ratio = abar[i + 1] ** 0.5, ((1 - abar[i + 1]) / (1 - abar[i])) ** 0.5
        shrink = -math.expm1(-length[i])
        return torch.add(noise_ratio * x_t, ahead, alpha=signal * shrink)

    x_t = initial_noise(network, shape, generator, noise)
    predict = guided_predictor(network, cond, uncond, guidance_scale, guidance_span, like=x_t)
    observe = noise_observer(callback, timesteps, abar, predicted)
    return run_loop(predict, step, timesteps, x_t, observe)


def sample_heun(
    model: Model,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    *,
    num_inference_steps: int = 20,
    eta: float = 0.0,
    cond: Tensor | None = None,
    uncond: Tensor | None = None,
    guidance_scale: float = 1.0,
    guidance_span: tuple[float, float] | None = None,
    generator: Generators = None,
    callback: Callback | None = None,
    timesteps: Sequence[int] | None = None,
    noise: Tensor | None = None,
) -> Float[Tensor, "..."]:
    """Sample by Heun's second-order method on dx/dphi = v, with cos(phi) = sqrt(abar).

    In this angle the probability-flow ODE is well scaled at both ends (Salimans & Ho, 2022,
    appendix D). The kept timesteps end at t = 0, where DDIM takes the last, tiny step: S steps
    need 2 S - 1 evaluations. Raises as `sample_ddim`, and if eta is not 0.
    """
    _refuse_eta(eta, "Heun")
    spacing = "trailing" if num_inference_steps == 1 else "linspace"
    timesteps = kept_timesteps(schedule, timesteps, num_inference_steps, spacing)
    abar = kept_abar(schedule, timesteps)
    phi = [math.acos(a**0.5) for a in abar]
    network, predicted = predictor(model)
    x_t = initial_noise(network, shape, generator, noise)
    predict = guided_predictor(network, cond, uncond, guidance_scale, guidance_span, like=x_t)

    def velocity(i: int, x_t: Tensor, prediction: Tensor) -> Tensor:
        return prediction if predicted == "v_prediction" else v_from_eps(x_t, prediction, abar[i])

    def step(i: int, x_t: Tensor, prediction: Tensor) -> Tensor:
        if i == len(timesteps) - 1:
            return split_prediction(x_t, prediction, abar[i], predicted)[0]
        turn = phi[i + 1] - phi[i]
        v = velocity(i, x_t, prediction)
        x_ahead = x_t + turn * v
        t_ahead = torch.full((len(x_t),), timesteps[i + 1], device=x_t.device)
        v_ahead = velocity(i + 1, x_ahead, predict(x_ahead, t_ahead))
        return torch.add(x_t, v + v_ahead, alpha=turn / 2)

    observe = noise_observer(callback, timesteps, abar, predicted)
    return run_loop(predict, step, timesteps, x_t, observe)


def sample_flow(
    model: Model,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    *,
    num_inference_steps: int = 20,
    eta: float = 0.0,
    cond: Tensor | None = None,
    uncond: Tensor | None = None,
    guidance_scale: float = 1.0,
    guidance_span: tuple[float, float] | None = None,
    generator: Generators = None,
    callback: Callback | None = None,
    noise: Tensor | None = None,
) -> Float[Tensor, "..."]:
    """Sample by Euler steps along a flow from noise (time 1) to data (time 0).

    Lipman et al., 2023. The model predicts noise - x0. Its time is scaled to
    `schedule.num_train_timesteps`; nothing else of the schedule is used. Raises as `sample_ddim`,
    if eta is not 0, and for a model made by `as_eps`.
    """
    _refuse_eta(eta, "flow matching")
    if predictor(model)[1] == "v_prediction":
        raise MnistdiffError(
            "the model predicts v, wrapped by `as_eps`; sample_flow needs one that was trained to "
            "predict noise - x0. Use another sampler."
        )
    total = schedule.num_train_timesteps
    inference_timesteps(total, num_inference_steps)  # raises for a bad number of steps
    times = [1 - i / num_inference_steps for i in range(num_inference_steps)]

    def step(_: int, x_t: Tensor, flow: Tensor) -> Tensor:
        return torch.add(x_t, flow, alpha=-1 / num_inference_steps)

    def observe(i: int, x_t: Tensor, flow: Tensor) -> None:
        if callback is not None:
            callback(i, round(times[i] * total) - 1, x_t, x_t - times[i] * flow)

    x_t = initial_noise(model, shape, generator, noise)
    predict = guided_predictor(model, cond, uncond, guidance_scale, guidance_span, like=x_t)
    return run_loop(predict, step, [time * total for time in times], x_t, observe)


def _refuse_eta(eta: float, name: str) -> None:
    if eta != 0:
        raise MnistdiffError(f"eta is {eta}, but {name} is deterministic; eta must be 0.")
