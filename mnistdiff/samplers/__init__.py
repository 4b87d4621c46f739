"""From noise to a digit: DDPM, DDIM, DPM-Solver++, Heun and flow matching share one loop.

A sampler calls any `model(x_t, t, cond=None) -> eps` with t of shape (B,); `as_eps` wraps a
network that predicts v. If `guidance_scale` is not 1, the prediction given `cond` is pushed away
from the prediction given `uncond`, or given no condition; with `guidance_span` (low, high) only at
the timesteps low <= t < high. All samplers have the same signature and return x_0 of `shape`;
`callback(step, t, x_t, x0_hat)` gets the input of each step and the digit predicted from it. Noise
comes from torch's CPU generator: one seed is one picture on every machine. A model of any
floating-point type on any device works: it gets its inputs there, the steps are taken in float32
or more, and x_0 has the model's type.
"""

from mnistdiff.guidance import apply_guidance
from mnistdiff.samplers.ddim import interpolate_noise, invert_ddim, sample_ddim, sample_ddpm
from mnistdiff.samplers.loop import (
    Callback,
    Generators,
    Model,
    as_eps,
    draw_noise,
    predictor,
)
from mnistdiff.samplers.registry import SAMPLERS, find_sampler
from mnistdiff.samplers.solvers import sample_dpmpp_2m, sample_flow, sample_heun
from mnistdiff.samplers.steps import (
    PREDICTION_TYPES,
    SPACINGS,
    ddim_sigma,
    ddim_step,
    ddpm_step,
    eps_from_v,
    inference_timesteps,
    x0_from_v,
)

__all__ = [
    "PREDICTION_TYPES",
    "SAMPLERS",
    "SPACINGS",
    "Callback",
    "Generators",
    "Model",
    "apply_guidance",
    "as_eps",
    "ddim_sigma",
    "ddim_step",
    "ddpm_step",
    "draw_noise",
    "eps_from_v",
    "find_sampler",
    "inference_timesteps",
    "interpolate_noise",
    "invert_ddim",
    "predictor",
    "sample_ddim",
    "sample_ddpm",
    "sample_dpmpp_2m",
    "sample_flow",
    "sample_heun",
    "x0_from_v",
]
