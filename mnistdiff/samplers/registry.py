"""The samplers of noise predictors, by name."""

from collections.abc import Callable

from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.samplers.ddim import sample_ddim, sample_ddpm
from mnistdiff.samplers.solvers import sample_dpmpp_2m, sample_heun

SAMPLERS = {
    "ddim": sample_ddim,
    "ddpm": sample_ddpm,
    "dpmpp_2m": sample_dpmpp_2m,
    "heun": sample_heun,
}


def find_sampler(name: str) -> Callable[..., Tensor]:
    """Return the sampler of that name. Raises MnistdiffError if the name is not in SAMPLERS."""
    if not isinstance(name, str) or name not in SAMPLERS:
        raise MnistdiffError(f"sampler is {name!r}; it must be one of {', '.join(SAMPLERS)}.")
    return SAMPLERS[name]
