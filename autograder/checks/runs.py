"""Whole runs of DDIM on data from one Gaussian, whose optimal model is known."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from autograder.checks import step_mistakes
from autograder.checks.base import Draw
from autograder.inside.stubs import Stub


def draw_long_schedule(draw: Draw) -> tuple[Tensor, Tensor]:
    """Return betas and abar, (40,); betas rise, so that a few steps already sample accurately."""
    rise = torch.linspace(0.03, 1.0, 40) ** 1.5
    betas = 0.25 * rise * draw.uniform(40, low=0.8, high=1.2)
    return betas, (1 - betas).cumprod(0)


class GaussianRun:
    """A random Gaussian, a random sub-sequence of timesteps, and the noise z of the start."""

    def __init__(self, draw: Draw) -> None:
        self.abar = draw_long_schedule(draw)[1]
        mean, std = draw.signed(1), draw.uniform(1, low=0.4, high=0.8)
        self.model = Stub("gaussian_eps", mean=mean, std=std, abar=self.abar).build()
        z, last, final = draw.signed(2, 1, 2, 3), len(self.abar) - 1, self.abar[-1]
        # The quantile of z at the last timestep and in the data: DDIM at eta 0 maps start to exact.
        self.start = final.sqrt() * mean + (final * std**2 + 1 - final).sqrt() * z
        self.exact = mean + std * z
        between = [t for t in range(last - 1, 0, -1) if float(draw.uniform(1)) < 0.5]
        self.kept = [last, *between, 0]

    def pairs(self) -> Iterator[tuple[step_mistakes.Pair, int]]:
        """Yield (abar_t, abar_prev) and t for each kept timestep; abar_prev is 1 on the last."""
        for t, previous in pairwise(self.kept):
            yield (self.abar[t], self.abar[previous]), t
        last = self.kept[-1]
        yield (self.abar[last], torch.tensor(1.0)), last

    def eps(self, x_t: Tensor, t: int) -> Tensor:
        """Return the prediction of the optimal model."""
        with torch.no_grad():
            return self.model(x_t, torch.full((len(x_t),), t))

    def end(self) -> Tensor:
        """Return the end of our own run, in float64; it nears `exact` as the steps get shorter."""
        x = self.start.double()
        for pair, t in self.pairs():
            x = step_mistakes.ddim_step(x, self.eps(x, t), pair, 0.0, 0 * x)
        return x
