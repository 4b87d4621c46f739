"""Whole runs of DDIM on data from one Gaussian, for which the best model is known."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from autograder.checks import steps
from autograder.checks.base import Draw
from autograder.inside.stubs import Stub


def draw_long_schedule(draw: Draw) -> tuple[Tensor, Tensor]:
    """betas and abar, (40,), that rise from small to large: few steps follow the noise closely."""
    rise = torch.linspace(0.03, 1.0, 40) ** 1.5
    betas = 0.25 * rise * draw.uniform(40, low=0.8, high=1.2)
    return betas, (1 - betas).cumprod(0)


class GaussianRun:
    """A drawn Gaussian, a drawn sub-sequence of timesteps, and noise z to start from."""

    def __init__(self, draw: Draw) -> None:
        self.abar = draw_long_schedule(draw)[1]
        mean, std = draw.signed(1), draw.uniform(1, low=0.4, high=0.8)
        self.model = Stub("gaussian_eps", mean=mean, std=std, abar=self.abar).build()
        z, last, final = draw.signed(2, 1, 2, 3), len(self.abar) - 1, self.abar[-1]
        # z's quantile at the last timestep and in the data: DDIM at eta 0 maps one to the other.
        self.start = final.sqrt() * mean + (final * std**2 + 1 - final).sqrt() * z
        self.exact = mean + std * z
        between = [t for t in range(last - 1, 0, -1) if float(draw.uniform(1)) < 0.5]
        self.kept = [last, *between, 0]

    def pairs(self) -> Iterator[tuple[steps.Pair, int]]:
        """abar of each kept timestep and of the next lower one, 1 after the last; and t."""
        for t, previous in pairwise([*self.kept, None]):
            yield (self.abar[t], torch.tensor(1.0) if previous is None else self.abar[previous]), t

    def eps(self, x_t: Tensor, t: int) -> Tensor:
        """What the best model predicts."""
        with torch.no_grad():
            return self.model(x_t, torch.full((len(x_t),), t))

    def end(self) -> Tensor:
        """Where our own steps end, in float64: close to `exact`, by the length of the steps."""
        x = self.start.double()
        for pair, t in self.pairs():
            x = steps.ddim_step(x, self.eps(x, t), pair, 0.0, 0 * x)
        return x
