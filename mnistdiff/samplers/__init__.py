"""From noise to a digit: DDPM, DDIM, DPM-Solver++, Heun and flow matching share one loop.

A sampler calls any `model(x_t, t, cond=None) -> eps` with t of shape (B,); `as_eps` wraps a
network that predicts v. If `guidance_scale` is not 1, the prediction given `cond` is pushed away
from the prediction given `uncond`, or given no condition; with `guidance_span` (low, high) only at
the timesteps low <= t < high. All samplers have the same signature and return x_0 of `shape`;
`callback(step, t, x_t, x0_hat)` gets the input of each step and the digit predicted from it. Noise
comes from torch's CPU generator: one seed is one picture on every machine.
"""

from mnistdiff.guidance import apply_guidance
from mnistdiff.samplers.ddim import interpolate_noise, invert_ddim, sample_ddim, sample_ddpm
from mnistdiff.samplers.loop import Callback, Model, as_eps
from mnistdiff.samplers.registry import SAMPLERS, find_sampler
from mnistdiff.samplers.solvers import sample_dpmpp_2m, sample_flow, sample_heun
from mnistdiff.samplers.steps import (
    SPACINGS,
    ddim_sigma,
    ddim_step,
    ddpm_step,
    eps_from_v,
    inference_timesteps,
)

__all__ = [
    "SAMPLERS",
    "SPACINGS",
    "Callback",
    "Model",
    "apply_guidance",
    "as_eps",
    "ddim_sigma",
    "ddim_step",
    "ddpm_step",
    "eps_from_v",
    "find_sampler",
    "inference_timesteps",
    "interpolate_noise",
    "invert_ddim",
    "sample_ddim",
    "sample_ddpm",
    "sample_dpmpp_2m",
    "sample_flow",
    "sample_heun",
]
