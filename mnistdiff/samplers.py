"""From noise to a digit: DDPM, DDIM, DPM-Solver++, Heun and flow matching, by one loop.

A sampler takes any `model(x_t, t, cond=None) -> eps` with t of shape (B,); `as_eps` wraps a
network that predicts v. With a `guidance_scale` other than 1 the prediction given `cond` is
pushed away from that given `uncond`, or given nothing. Every sampler has the same signature and
returns x_0 of `shape`; `callback(step, t, x_t, x0_hat)` sees each step's input and the digit
predicted from it. Noise comes from torch's CPU generator: one seed is one picture on every machine.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.guidance import apply_guidance
from mnistdiff.layers import append_dims
from mnistdiff.schedules import NoiseSchedule, predict_x0

Model = Callable[..., Tensor]
Callback = Callable[[int, int, Tensor, Tensor], Any]
Step = Callable[[int, Tensor, Tensor], Tensor]  # (step, x_t, eps) -> x_prev
SPACINGS = ("leading", "trailing", "linspace")


def inference_timesteps(
    num_train_timesteps: int, num_inference_steps: int, spacing: str = "trailing"
) -> list[int]:
    """The timesteps that a shorter run keeps, descending.

    Spacings as Lin et al., 2024, table 2 ("Common Diffusion Noise Schedules ... Are Flawed"):
    "trailing" starts at T - 1, "leading" ends at 0, "linspace" does both. Exact halves are rounded
    to even; diffusers, which adds up floats, puts some of them one timestep off, and now and then
    keeps one too many. Raises MnistdiffError for more steps than T.
    """
    total, steps = num_train_timesteps, num_inference_steps
    if not isinstance(steps, Integral) or not 1 <= steps <= total:
        raise MnistdiffError(
            f"num_inference_steps is {steps!r}; it must be a whole number from 1 to the "
            f"{total} timesteps of training."
        )
    if spacing == "trailing":
        return [round(total - i * total / steps) - 1 for i in range(steps)]
    if spacing == "leading":
        return [i * (total // steps) for i in reversed(range(steps))]
    if spacing == "linspace":
        return [round(i * (total - 1) / max(steps - 1, 1)) for i in reversed(range(steps))]
    raise MnistdiffError(f"spacing is {spacing!r}; it must be one of {', '.join(SPACINGS)}.")


def ddpm_step(
    x_t: Float[Tensor, "b ..."],
    eps: Float[Tensor, "b ..."],
    t: int,
    betas: Float[Tensor, " T"],
    abar: Float[Tensor, " T"],
    noise: Float[Tensor, "b ..."],
    t_prev: int | None = None,
) -> Float[Tensor, "b ..."]:
    """Draw x_{t-1} from the posterior given x_t and the predicted x0 (Ho et al., 2020, eq. 6-7).

    The variance is the posterior's, beta_t (1 - abar_{t-1}) / (1 - abar_t); at t = 0 no noise is
    added. In a sub-sequence `t_prev` is the previous kept timestep, and beta_t the share of
    noise between the two; -1 stands for the clean image. Raises MnistdiffError for other t.
    """
    t_prev = t - 1 if t_prev is None else t_prev
    if not -1 <= t_prev < t < len(abar):
        raise MnistdiffError(
            f"t is {t} and t_prev {t_prev}; expected -1 <= t_prev < t <= {len(abar) - 1}."
        )
    x0_hat = predict_x0(x_t, eps, abar[t])
    if t_prev < 0:
        return x0_hat  # the posterior given abar_prev = 1 is a point
    # alpha from abar, not from betas: the two weights of the mean must share abar's rounding
    alpha = abar[t] / abar[t_prev]
    mean = abar[t_prev].sqrt() * (1 - alpha) / (1 - abar[t]) * x0_hat
    mean = mean + alpha.sqrt() * (1 - abar[t_prev]) / (1 - abar[t]) * x_t
    beta = betas[t] if t_prev == t - 1 else 1 - alpha
    return mean + (beta * (1 - abar[t_prev]) / (1 - abar[t])).sqrt() * noise


def ddim_sigma(
    abar_t: Float[Tensor, ""] | float, abar_prev: Float[Tensor, ""] | float, eta: float
) -> Float[Tensor, ""] | float:
    """sigma_t = eta sqrt((1 - abar_prev) / (1 - abar_t) (1 - abar_t / abar_prev)).

    Song et al., 2021, eq. 16. eta 0 is deterministic, eta 1 DDPM's noise.
    """
    return eta * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)) ** 0.5


def ddim_step(
    x_t: Float[Tensor, "b ..."],
    eps: Float[Tensor, "b ..."],
    abar_t: Float[Tensor, ""] | float,
    abar_prev: Float[Tensor, ""] | float,
    eta: float = 0.0,
    noise: Float[Tensor, "b ..."] | None = None,
) -> Float[Tensor, "b ..."]:
    """One step to the previous kept timestep (Song et al., 2021, eq. 12).

    sqrt(abar_prev) x0_hat + sqrt(1 - abar_prev - sigma^2) eps + sigma noise; the last step has
    abar_prev = 1. Raises MnistdiffError for eta outside [0, 1], an eta above 0 without noise, an
    abar outside (0, 1], or an abar_prev below abar_t.
    """
    _check_eta(eta)
    if abar_prev < abar_t:
        raise MnistdiffError(
            f"abar_prev is {float(abar_prev):g} and abar_t {float(abar_t):g}; the previous "
            "timestep is less noisy, so its abar must be the larger one."
        )
    if not 0 < abar_t <= abar_prev <= 1:
        raise MnistdiffError(
            f"abar_t is {float(abar_t):g} and abar_prev {float(abar_prev):g}; both are shares of "
            "the variance, above 0 and at most 1."
        )
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat = predict_x0(x_t, eps, abar_t)
    # eta 1 makes the direction's share tiny on the last step: rounding must not turn it negative
    direction = torch.as_tensor(1 - abar_prev - sigma**2).clamp(min=0).sqrt()
    x_prev = abar_prev**0.5 * x0_hat + direction * eps
    if eta == 0:
        return x_prev
    if noise is None:
        raise MnistdiffError(f"eta is {eta}: a step with eta above 0 needs noise.")
    return x_prev + sigma * noise


def eps_from_v(
    x_t: Float[Tensor, "b ..."], v: Float[Tensor, "b ..."], abar_t: Float[Tensor, "..."] | float
) -> Float[Tensor, "b ..."]:
    """eps = sqrt(abar_t) v + sqrt(1 - abar_t) x_t (Salimans & Ho, 2022, appendix D)."""
    return abar_t**0.5 * v + (1 - abar_t) ** 0.5 * x_t


class _EpsFromV(nn.Module):
    def __init__(self, network: nn.Module, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.network = network
        abar = schedule.alphas_cumprod
        # (2, T), taken once: at batch 1 each operation counts.
        self.register_buffer("roots", torch.stack([abar, 1 - abar]).sqrt(), persistent=False)

    def forward(self, x_t: Tensor, t: Int[Tensor, " b"], cond: Tensor | None = None) -> Tensor:
        v = self.network(x_t, t) if cond is None else self.network(x_t, t, cond)
        _check_shape(v, x_t)
        signal, noise = self.roots[:, t].reshape(2, -1, *(1,) * (x_t.ndim - 1))
        return signal * v + noise * x_t  # `eps_from_v`


def as_eps(network: nn.Module, schedule: NoiseSchedule) -> nn.Module:
    """A model that predicts eps, from one that predicts v."""
    return _EpsFromV(network, schedule)


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
    _check_eta(eta)
    timesteps = _kept(schedule, timesteps, num_inference_steps, spacing)
    abar = _abar(schedule, timesteps)
    plan = [_ddim_coefficients(*pair, eta) for pair in pairwise(abar)]

    def step(i: int, x_t: Tensor, eps: Tensor) -> Tensor:
        keep, direction, sigma = plan[i]
        x_prev = torch.add(keep * x_t, eps, alpha=direction)
        if sigma > 0:
            x_prev.add_(_randn(shape, generator, x_t.device), alpha=sigma)
        return x_prev

    predict = _predictor(model, cond, uncond, guidance_scale)
    return _loop(predict, step, timesteps, abar, _start(model, shape, generator, noise), callback)


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
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
    timesteps: Sequence[int] | None = None,
    noise: Tensor | None = None,
) -> Float[Tensor, "..."]:
    """DPM-Solver++(2M), deterministic (Lu et al., 2022, algorithm 2): one evaluation per step.

    It remembers the last predicted x0 and extrapolates along half the log signal-to-noise
    ratio; the first and the last step are DDIM's. Raises as `sample_ddim`, and for eta other
    than 0.
    """
    _refuse_eta(eta, "DPM-Solver++")
    timesteps = _kept(schedule, timesteps, num_inference_steps, "trailing")
    abar = _abar(schedule, timesteps)
    half_log_snr = [0.5 * math.log(a / (1 - a)) for a in abar[:-1]] + [math.inf]
    length = [after - before for before, after in pairwise(half_log_snr)]
    last_x0: list[Tensor] = []

    def step(i: int, x_t: Tensor, eps: Tensor) -> Tensor:
        x0_hat = predict_x0(x_t, eps, abar[i])
        ahead = x0_hat
        if 0 < i < len(length) - 1:
            weight = 0.5 * length[i] / length[i - 1]
            ahead = (1 + weight) * x0_hat - weight * last_x0.pop()
        last_x0[:] = [x0_hat]
        signal, noise_ratio = abar[i + 1] ** 0.5, ((1 - abar[i + 1]) / (1 - abar[i])) ** 0.5
        shrink = -math.expm1(-length[i])
        return torch.add(noise_ratio * x_t, ahead, alpha=signal * shrink)

    predict = _predictor(model, cond, uncond, guidance_scale)
    return _loop(predict, step, timesteps, abar, _start(model, shape, generator, noise), callback)


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
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
    timesteps: Sequence[int] | None = None,
    noise: Tensor | None = None,
) -> Float[Tensor, "..."]:
    """Heun's second-order method on dx/dphi = v, with cos(phi) = sqrt(abar).

    In this angle the probability-flow ODE is well scaled at both ends (Salimans & Ho, 2022,
    appendix D). The kept timesteps run down to t = 0, from where DDIM takes the last, tiny step:
    2 S - 1 evaluations. Raises as `sample_ddim`, and for eta other than 0.
    """
    _refuse_eta(eta, "Heun")
    spacing = "trailing" if num_inference_steps == 1 else "linspace"
    timesteps = _kept(schedule, timesteps, num_inference_steps, spacing)
    abar = _abar(schedule, timesteps)
    phi = [math.acos(a**0.5) for a in abar]
    predict = _predictor(model, cond, uncond, guidance_scale)

    def step(i: int, x_t: Tensor, eps: Tensor) -> Tensor:
        if i == len(timesteps) - 1:
            return predict_x0(x_t, eps, abar[i])
        turn = phi[i + 1] - phi[i]
        v = _velocity_from_eps(x_t, eps, abar[i])
        x_ahead = x_t + turn * v
        t_ahead = torch.full((len(x_t),), timesteps[i + 1], device=x_t.device)
        v_ahead = _velocity_from_eps(x_ahead, predict(x_ahead, t_ahead), abar[i + 1])
        return torch.add(x_t, v + v_ahead, alpha=turn / 2)

    return _loop(predict, step, timesteps, abar, _start(model, shape, generator, noise), callback)


@torch.no_grad()
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
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
    noise: Tensor | None = None,
) -> Float[Tensor, "..."]:
    """Euler steps along a flow from noise (time 1) to data (time 0) (Lipman et al., 2023).

    The model predicts noise - x0 and is told the time scaled to `schedule.num_train_timesteps`,
    which is all that the schedule is asked for. Raises as `sample_ddim`, and for eta other
    than 0.
    """
    _refuse_eta(eta, "flow matching")
    total = schedule.num_train_timesteps
    inference_timesteps(total, num_inference_steps)  # the same limits on the number of steps
    x_t = _start(model, shape, generator, noise)
    predict = _predictor(model, cond, uncond, guidance_scale)
    for i in range(num_inference_steps):
        time = 1 - i / num_inference_steps
        flow = predict(x_t, torch.full((len(x_t),), time * total, device=x_t.device))
        if callback is not None:
            callback(i, round(time * total) - 1, x_t, x_t - time * flow)
        x_t = torch.add(x_t, flow, alpha=-1 / num_inference_steps)
    return x_t


SAMPLERS = {
    "ddim": sample_ddim,
    "ddpm": sample_ddpm,
    "dpmpp_2m": sample_dpmpp_2m,
    "heun": sample_heun,
}


def find_sampler(name: str) -> Callable[..., Tensor]:
    """The sampler of that name, of those that sample a noise predictor. Raises MnistdiffError."""
    if not isinstance(name, str) or name not in SAMPLERS:
        raise MnistdiffError(f"sampler is {name!r}; it must be one of {', '.join(SAMPLERS)}.")
    return SAMPLERS[name]


@torch.no_grad()
def invert_ddim(
    model: Model, schedule: NoiseSchedule, x0: Float[Tensor, "b ..."], num_inference_steps: int = 50
) -> Float[Tensor, "b ..."]:
    """The noise x_T from which deterministic DDIM returns to about x0 (Song et al., 2021, 4.3).

    The same steps backwards, each with the noise predicted where it starts.
    """
    predict = _predictor(model, None, None, 1.0)
    timesteps = inference_timesteps(schedule.num_train_timesteps, num_inference_steps)[::-1]
    abar = [1.0, *_abar(schedule, timesteps[::-1])[-2::-1]]
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


@torch.no_grad()
def _loop(
    predict: Model,
    step: Step,
    timesteps: Sequence[int],
    abar: Sequence[float],
    x_t: Tensor,
    callback: Callback | None,
) -> Tensor:
    """The one loop: predict the noise, tell the callback, take the sampler's step."""
    times = torch.tensor(timesteps, device=x_t.device)[:, None].expand(-1, len(x_t)).unbind()
    for i, t in enumerate(timesteps):
        eps = predict(x_t, times[i])
        if callback is not None:
            callback(i, t, x_t, predict_x0(x_t, eps, abar[i]))
        x_t = step(i, x_t, eps)
    return x_t


def _predictor(
    model: Model, cond: Tensor | None, uncond: Tensor | None, guidance_scale: float
) -> Model:
    """The model as a function of x_t and t alone, whose answer is known to have x_t's shape."""
    if not math.isfinite(guidance_scale):
        raise MnistdiffError(f"guidance_scale is {guidance_scale}; it must be a finite number.")
    if cond is None and guidance_scale != 1:
        raise MnistdiffError(
            f"guidance_scale is {guidance_scale} but there is no condition to be guided by; "
            "pass cond, or leave guidance_scale at 1."
        )

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        if guidance_scale == 1:
            eps = model(x_t, t) if cond is None else model(x_t, t, cond)
            _check_shape(eps, x_t)
            return eps
        if uncond is None:
            eps_uncond, eps_cond = model(x_t, t), model(x_t, t, cond)
        else:  # both branches in one batch: the same work in half the calls
            both = model(x_t.repeat(2, *(1,) * (x_t.ndim - 1)), t.repeat(2), branches)
            eps_uncond, eps_cond = both.chunk(2)
        _check_shape(eps_cond, x_t)
        return apply_guidance(eps_uncond, eps_cond, guidance_scale)

    branches = None if uncond is None or cond is None else torch.cat([uncond, cond])
    return predict


def _check_shape(answer: Tensor, x_t: Tensor) -> None:
    if not isinstance(answer, Tensor):
        raise MnistdiffError(
            f"the model returned {type(answer).__name__}; a noise predictor returns one tensor of "
            f"its input's shape {tuple(x_t.shape)}. Wrap it in a function that does."
        )
    if answer.shape != x_t.shape:
        raise MnistdiffError(
            f"the model returned shape {tuple(answer.shape)} for an input of shape "
            f"{tuple(x_t.shape)}; a noise predictor keeps the shape."
        )


def _start(
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
        return _randn(shape, generator, device)
    if noise.dtype == torch.float64 and weights is not None:  # NumPy's; such weights refuse it
        noise = noise.to(torch.promote_types(weights.dtype, torch.float32))
    return noise.to(device)


def _randn(shape: Sequence[int], generator: torch.Generator | None, device: torch.device) -> Tensor:
    return torch.randn(tuple(shape), generator=generator).to(device)


def _kept(
    schedule: NoiseSchedule, timesteps: Sequence[int] | None, steps: int, spacing: str
) -> list[int]:
    """The timesteps that were asked for, also as a tensor or an array, or those of a spacing."""
    if timesteps is None:
        return inference_timesteps(schedule.num_train_timesteps, steps, spacing)
    return [int(t) for t in timesteps]


def _abar(schedule: NoiseSchedule, timesteps: Sequence[int]) -> list[float]:
    """abar at the kept timesteps, then 1 for the clean image; as Python floats, computed once."""
    total = schedule.num_train_timesteps
    falling = all(before > after for before, after in pairwise(timesteps))
    if not timesteps or not falling or not 0 <= timesteps[-1] <= timesteps[0] < total:
        raise MnistdiffError(
            f"timesteps are {list(timesteps)}; they must fall from at most {total - 1} to at "
            "least 0, each smaller than the one before."
        )
    return [*schedule.alphas_cumprod[list(timesteps)].tolist(), 1.0]


def _ddim_coefficients(abar_t: float, abar_prev: float, eta: float) -> tuple[float, float, float]:
    """`ddim_step` as x_prev = keep x_t + direction eps + sigma noise."""
    sigma = ddim_sigma(abar_t, abar_prev, eta) if eta else 0.0
    keep = (abar_prev / abar_t) ** 0.5
    direction = max(1 - abar_prev - sigma**2, 0.0) ** 0.5 - keep * (1 - abar_t) ** 0.5
    return keep, direction, sigma


def _velocity_from_eps(x_t: Tensor, eps: Tensor, abar_t: float) -> Tensor:
    """v = (eps - sqrt(1 - abar_t) x_t) / sqrt(abar_t): `eps_from_v` solved for v."""
    return (eps - (1 - abar_t) ** 0.5 * x_t) / abar_t**0.5


def _check_eta(eta: float) -> None:
    if not isinstance(eta, Real | Tensor) or not 0 <= eta <= 1:
        raise MnistdiffError(f"eta is {eta!r}; it must be in [0, 1]: 0 is DDIM, 1 is DDPM.")


def _refuse_eta(eta: float, name: str) -> None:
    if eta != 0:
        raise MnistdiffError(f"eta is {eta}, but {name} is deterministic; only eta = 0 fits.")
