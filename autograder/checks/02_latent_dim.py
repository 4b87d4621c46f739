"""Checks of notebook 02: which latent dimensions are in use."""

from typing import Any

import torch
from torch import Tensor

from autograder.checks.base import (
    Check,
    Draw,
    as_number,
    as_tensor,
    behaviour,
    close,
    diagnose,
    kind,
)
from autograder.checks.gaussian import diagnose_kl, kl_entries
from autograder.inside.student import WrongAnswer


class KLPerDimension(Check):
    """The KL divergence from the prior, for each latent dimension by itself."""

    name = "kl_per_dimension"
    points = 3
    seals = ("mnistdiff.metrics:kl_per_dimension",)

    @behaviour("the formula, for one image", 1)
    def formula(self, student: Any, draw: Draw) -> None:
        """A batch of one, where the mean over the batch does not matter."""
        mu, logvar = draw.signed(1, 5), draw.signed(1, 5)
        mu[0, 2] = logvar[0, 2] = 0.0  # the prior itself
        got = self._row(student, mu, logvar)
        if close(got, kl_entries(mu, logvar) / 5):
            raise WrongAnswer(
                "you divided by the number of dimensions: average over the batch only"
            )
        if not close(got, kl_entries(mu, logvar)):
            raise WrongAnswer(diagnose_kl(got, mu, logvar))

    @behaviour("one value per dimension, from that dimension alone", 1)
    def dimensions(self, student: Any, draw: Draw) -> None:
        """Changing mu or logvar of one dimension changes that entry and no other."""
        # All positive: doubling any of them raises the divergence, on average too.
        mu, logvar = (draw.uniform(4, 5, low=0.5, high=1.5) for _ in range(2))
        index = int(draw.order(5)[0])
        before = self._values(student, mu, logvar)
        for which in (0, 1):
            changed = [mu.clone(), logvar.clone()]
            changed[which][:, index] *= 2
            moved = self._values(student, *changed)
            others = [i for i in range(5) if i != index]
            if not close(moved[others], before[others]):
                raise WrongAnswer(
                    "an entry changes with another dimension: keep the dimensions apart"
                )
            if close(moved[index], before[index]):
                raise WrongAnswer(
                    f"an entry does not change with its own {('mu', 'logvar')[which]}"
                )

    @behaviour("averaged over the batch", 1)
    def batch(self, student: Any, draw: Draw) -> None:
        """The mean of what the student's own code gives for each image."""
        mu, logvar = draw.signed(4, 5), draw.signed(4, 5)
        pairs = zip(mu.split(1), logvar.split(1), strict=True)
        rows = torch.cat([self._row(student, m, v) for m, v in pairs])
        got = self._values(student, mu, logvar)
        mistakes = [(rows.sum(0), "average over the batch (dim 0), do not sum over it")]
        if not close(got, rows.mean(0)):
            raise WrongAnswer(diagnose(got, mistakes, "over the images of a batch take the mean"))
        if close(rows, rows[0].expand_as(rows)):
            raise WrongAnswer("the result does not depend on the images")

    def _values(self, student: Any, mu: Tensor, logvar: Tensor) -> Tensor:
        """The result, which must have one value per dimension, (D,)."""
        result = student.call(self.name, mu, logvar)
        shape = tuple(getattr(result, "shape", (-1,)))
        if shape == (len(mu),):
            raise WrongAnswer(
                "got one value per image: average over the batch (dim 0), not over dim 1"
            )
        if shape == tuple(mu.shape):
            raise WrongAnswer(
                "got one value per image and dimension: average over the batch (dim 0)"
            )
        if shape == ():
            raise WrongAnswer("got a single number: return one value per dimension, shape (D,)")
        return as_tensor(result, mu.shape[1:], "(D,)")

    def _row(self, student: Any, mu: Tensor, logvar: Tensor) -> Tensor:
        """The result for a batch of one as (1, D), whether or not the batch was reduced."""
        result = student.call(self.name, mu, logvar)
        if isinstance(result, Tensor) and result.shape == mu.shape:
            result = result[0]
        return as_tensor(result, mu.shape[1:], "(D,)")[None]


class ActiveUnits(Check):
    """How many dimensions have a posterior mean that varies over the data."""

    name = "active_units"
    points = 3
    seals = ("mnistdiff.metrics:active_units",)
    ROWS = 40

    @behaviour("counts the dimensions that vary, as an int, threshold 0.01 by default", 1)
    def count(self, student: Any, draw: Draw) -> None:
        """Dimensions centred on zero that vary a lot or next to nothing."""
        for active, idle in self._numbers(draw):
            mu = self._means(draw, [0.013] * active + [0.0075] * idle)
            result = student.call(self.name, mu)
            if not _is_integer(result):
                raise WrongAnswer(
                    f"expected an int, got {kind(result)}: wrap the count in int(...)"
                )
            if int(result) != active:
                mistakes = [
                    (idle, "you counted the idle dimensions: active means above the threshold"),
                    (
                        int((mu.var(1) > 0.01).sum()),
                        "you took the variance over the latent dimensions: use dim 0",
                    ),
                    (active + idle, "every dimension was counted: compare with the threshold"),
                ]
                raise WrongAnswer(diagnose(int(result), mistakes, self.RULE))

    @behaviour("goes by the variance, not by the size or the standard deviation", 1)
    def variance(self, student: Any, draw: Draw) -> None:
        """Idle dimensions here have a large mean, or a variance of 0.002."""
        for active, idle in self._numbers(draw):
            offset = draw.signed(active + idle, low=2.0, high=3.0)
            shifted = self._means(draw, [0.5] * active + [1e-6] * idle) + offset
            got = self._count(student, shifted)
            if got == active + idle:
                raise WrongAnswer("a mean that is large but always the same carries no information")
            if got != active:
                raise WrongAnswer(self.RULE)
            got = self._count(student, self._means(draw, [0.5] * active + [0.002] * idle))
            if got == active + idle:
                raise WrongAnswer("a standard deviation is not a variance: square it, or use var")
            if got != active:
                raise WrongAnswer(self.RULE)

    @behaviour("uses the threshold argument; mu stays as it is", 1)
    def threshold(self, student: Any, draw: Draw) -> None:
        """Thresholds between 0.02 and 0.5, with variances well on either side."""
        for threshold, below in ((0.25, 0.04), (0.5, 0.1), (0.02, 0.0001)):
            for active, idle in self._numbers(draw):
                mu = self._means(draw, [1.0] * active + [below] * idle)
                got = self._count(student, mu, threshold)
                if got != active and got == self._count(student, mu, 100.0):
                    raise WrongAnswer("the threshold argument is ignored: do not write 0.01 inside")
                if got != active:
                    raise WrongAnswer(self.RULE)

    RULE = "count the dimensions whose posterior mean has a variance over the data > threshold"

    def _numbers(self, draw: Draw) -> list[tuple[int, int]]:
        """Two pairs of counts, active and idle, that no constant answer fits."""
        first = 2 + int(draw.order(3)[0])
        return [(first, first + 1), (first + 3, first - 1)]

    def _means(self, draw: Draw, variances: list[float]) -> Tensor:
        """Posterior means (ROWS, D): each column centred, of the given variance, shuffled."""
        columns = draw.signed(self.ROWS, len(variances))
        columns = columns - columns.mean(0)
        columns = columns / columns.std(0, correction=0)
        return (columns * torch.tensor(variances).sqrt())[:, draw.order(len(variances))]

    def _count(self, student: Any, *arguments: object) -> float:
        """The result as a number: its type is judged elsewhere."""
        result = student.call(self.name, *arguments)
        if isinstance(result, list) or getattr(result, "ndim", 0):
            raise WrongAnswer(f"expected one count for all dimensions, got {kind(result)}")
        return int(result) if _is_integer(result) else as_number(result, "the count")


def _is_integer(value: object) -> bool:
    """Whether it is an int, or a tensor of one int: marks should not hang on that."""
    if isinstance(value, Tensor):
        whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
        return whole and value.ndim == 0
    return type(value) is int
