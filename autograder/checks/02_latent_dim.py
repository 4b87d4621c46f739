"""Checks of notebook 02: which latent dimensions the model uses."""

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
    require_finite,
)
from autograder.checks.gaussian import diagnose_kl, kl_entries
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer


class KLPerDimension(Check):
    """The KL divergence from the prior, separately for each latent dimension."""

    name = "kl_per_dimension"
    points = 3
    seals = ("mnistdiff.metrics:kl_per_dimension",)

    @behaviour("the formula, for one image", 1)
    def formula(self, student: Student, draw: Draw) -> None:
        """Use a batch of one, where the mean over the batch makes no difference."""
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
    def dimensions(self, student: Student, draw: Draw) -> None:
        """Change mu or logvar of one dimension: only its entry may change."""
        # All positive, so that doubling any of them raises the divergence and its mean.
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
                    "an entry depends on another dimension: keep the dimensions separate"
                )
            if close(moved[index], before[index]):
                raise WrongAnswer(
                    f"an entry does not change with its own {('mu', 'logvar')[which]}"
                )

    @behaviour("the mean over the batch", 1)
    def batch(self, student: Student, draw: Draw) -> None:
        """Compare with the mean of the student's own values per image."""
        mu, logvar = draw.signed(4, 5), draw.signed(4, 5)
        pairs = zip(mu.split(1), logvar.split(1), strict=True)
        rows = torch.cat([self._row(student, m, v) for m, v in pairs])
        got = self._values(student, mu, logvar)
        early = "average the KL of the images, not mu and logvar before the formula"
        mistakes = [
            (rows.sum(0), "average over the batch (dim 0), do not sum over it"),
            (self._row(student, mu.mean(0, keepdim=True), logvar.mean(0, keepdim=True))[0], early),
        ]
        if not close(got, rows.mean(0)):
            raise WrongAnswer(diagnose(got, mistakes, "take the mean over the images of the batch"))
        if close(rows, rows[0].expand_as(rows)):
            raise WrongAnswer("the result does not depend on the images")

    def _values(self, student: Student, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the result, which must have one value per dimension, (D,)."""
        result = student.call(self.name, mu, logvar)
        require_finite(result)
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

    def _row(self, student: Student, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the result for a batch of one as (1, D), whether or not the batch was reduced."""
        result = student.call(self.name, mu, logvar)
        if isinstance(result, Tensor) and result.shape == mu.shape:
            result = result[0]
        return as_tensor(result, mu.shape[1:], "(D,)")[None]


class ActiveUnits(Check):
    """The number of dimensions whose posterior mean varies over the data."""

    name = "active_units"
    points = 3
    seals = ("mnistdiff.metrics:active_units",)
    ROWS = 40

    @behaviour("counts the dimensions that vary, as an int, with a default threshold of 0.01", 1)
    def count(self, student: Student, draw: Draw) -> None:
        """Use dimensions centred on zero with variances just above and below 0.01."""
        for active, idle in self._numbers(draw):
            mu = self._means(draw, [0.013] * active + [0.0075] * idle)
            result = student.call(self.name, mu)
            got = _as_integer(result)
            if got is None:
                require_finite(result, "the count")
                many = isinstance(result, list) or getattr(result, "ndim", 0)
                remedy = "count the dimensions" if many else "wrap the count in int(...)"
                raise WrongAnswer(f"expected an int, got {kind(result)}: {remedy}")
            if got != active:
                if got == active + idle:
                    self._require_squared(student, mu)
                mistakes = [
                    (idle, "you counted the idle dimensions: active means above the threshold"),
                    (
                        int((mu.var(1) > 0.01).sum()),
                        "you took the variance over the latent dimensions: use dim 0",
                    ),
                    (active + idle, f"you counted every dimension: {self.RULE}"),
                ]
                raise WrongAnswer(diagnose(got, mistakes, self.RULE))

    @behaviour("compares the variance, not the size or the standard deviation", 1)
    def variance(self, student: Student, draw: Draw) -> None:
        """Use idle dimensions with a large mean, or with a variance of 0.002."""
        for active, idle in self._numbers(draw):
            offset = draw.signed(active + idle, low=2.0, high=3.0)
            shifted = self._means(draw, [0.5] * active + [1e-6] * idle) + offset
            got = self._count(student, shifted)
            if got == active + idle:
                raise WrongAnswer("a mean that is large but constant carries no information")
            if got != active:
                raise WrongAnswer(self.RULE)
            quiet = self._means(draw, [0.5] * active + [0.002] * idle)
            got = self._count(student, quiet)
            if got == active + idle:
                self._require_squared(student, quiet)
            if got != active:
                raise WrongAnswer(self.RULE)

    @behaviour("uses the threshold argument", 1)
    def threshold(self, student: Student, draw: Draw) -> None:
        """Use thresholds from 0.02 to 0.5, with variances well above and below them."""
        for threshold, below in ((0.25, 0.04), (0.5, 0.1), (0.02, 0.0001)):
            for active, idle in self._numbers(draw):
                mu = self._means(draw, [1.0] * active + [below] * idle)
                got = self._count(student, mu, threshold)
                ignored = got == self._count(student, mu, 100.0) == self._count(student, mu, -1.0)
                if got != active and ignored:
                    raise WrongAnswer(
                        "the threshold argument is ignored: compare with it, not with 0.01"
                    )
                if got != active:
                    raise WrongAnswer(self.RULE)

    RULE = "count the dimensions whose posterior mean has variance > threshold over the data"

    def _numbers(self, draw: Draw) -> list[tuple[int, int]]:
        """Return two pairs of counts (active, idle) that no constant answer fits."""
        first = 2 + int(draw.order(3)[0])
        return [(first, first + 1), (first + 3, first - 1)]

    def _means(self, draw: Draw, variances: list[float]) -> Tensor:
        """Return posterior means (ROWS, D): centred columns with these variances, shuffled."""
        columns = draw.signed(self.ROWS, len(variances))
        columns = columns - columns.mean(0)
        columns = columns / columns.std(0, correction=0)
        return (columns * torch.tensor(variances).sqrt())[:, draw.order(len(variances))]

    def _require_squared(self, student: Student, mu: Tensor) -> None:
        """Raise WrongAnswer if the answer compares a size that grows like mu, not like mu^2."""
        everything = mu.shape[1]
        counts = [self._count(student, size * mu, 0.04) for size in (1.0, 0.001)]
        if counts == [everything, 0] and self._count(student, mu, 100.0) == 0:
            raise WrongAnswer(NOT_SQUARED)

    def _count(self, student: Student, *arguments: object) -> float:
        """Return the result as a number: `count` judges its type."""
        result = student.call(self.name, *arguments)
        if isinstance(result, list) or getattr(result, "ndim", 0):
            raise WrongAnswer(f"expected one count for all dimensions, got {kind(result)}")
        whole = _as_integer(result)
        return as_number(result, "the count") if whole is None else whole


NOT_SQUARED = (
    "you compared a spread that is not squared, such as the standard deviation, the range or the "
    "mean absolute value: compare the variance"
)


def _as_integer(value: object) -> int | None:
    """Return the value of an int or of a 0-d tensor of an int type, else None.

    Both are accepted: marks should not depend on the difference.
    """
    if isinstance(value, Tensor):
        whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
        return int(value) if whole and value.ndim == 0 else None
    return value if type(value) is int else None
