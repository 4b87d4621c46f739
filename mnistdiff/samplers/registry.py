"""The samplers of noise predictors, by name."""

from collections.abc import Callable
from functools import partial
from types import FunctionType

from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.samplers.ddim import sample_ddim, sample_ddpm
from mnistdiff.samplers.solvers import sample_dpmpp_2m, sample_heun

Sampler = Callable[..., Tensor]

SAMPLERS = {
    "ddim": sample_ddim,
    "ddpm": sample_ddpm,
    "dpmpp_2m": sample_dpmpp_2m,
    "heun": sample_heun,
}


# diffusers' schedulers, by the sampler that takes the same steps
SCHEDULERS = {
    "DDIMScheduler": "ddim",
    "DDPMScheduler": "ddpm",
    "DPMSolverMultistepScheduler": "dpmpp_2m",
    "HeunDiscreteScheduler": "heun",
}


def find_sampler(sampler: str | Sampler) -> Sampler:
    """Return the sampler of that name, or the function itself.

    A function is called as `sample_ddim` is. Raises MnistdiffError for a name that is not in
    SAMPLERS, and for an object such as a scheduler of diffusers.
    """
    if isinstance(sampler, str) and sampler in SAMPLERS:
        return SAMPLERS[sampler]
    if isinstance(sampler, FunctionType | partial):
        return sampler
    kind = type(sampler).__name__
    if kind.endswith("Scheduler"):
        same = SCHEDULERS.get(kind)
        remedy = f"Use sampler={same!r}." if same else f"Use one of {', '.join(SAMPLERS)}."
        raise MnistdiffError(f"sampler is a {kind} of diffusers, which is not used here. {remedy}")
    raise MnistdiffError(
        f"sampler is {sampler!r:.60}; it must be one of {', '.join(SAMPLERS)}, or a function that "
        "is called as `sample_ddim` is."
    )
