"""Checks of notebook 03, second part: the timesteps of a short run."""

import math
from itertools import pairwise

from torch import Tensor

from autograder.checks.base import Check, Draw, behaviour, kind
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer


class DDIMTimesteps(Check):
    """The timesteps that a run of S steps keeps, with trailing spacing."""

    name = "ddim_timesteps"
    points = 4
    seals = ("mnistdiff.samplers:inference_timesteps",)
    RULE = "trailing spacing is round(T - i T / S) - 1 for i = 0 ... S - 1"

    @behaviour("S different ints, from high to low, within 0 ... T - 1", 1)
    def form(self, student: Student, draw: Draw) -> None:
        """Test number, type, order and range for any spacing."""
        for total, count in (self._divisible(draw), self._uneven(draw), (30, 20)):
            result = student.call(self.name, total, count)
            values = self._numbers(result)
            if not all(type(value) is int for value in values):
                raise WrongAnswer(
                    "expected whole numbers of type int, because they index abar: use int()"
                )
            if len(values) != count:
                raise WrongAnswer(f"expected {count} timesteps, got {len(values)}")
            if min(values) < 0 or max(values) >= total:
                low, high = min(values), max(values)
                raise WrongAnswer(
                    f"timesteps run from 0 to T - 1: with T = {total}, got {low} to {high}"
                )
            if values == sorted(values) and count > 1:
                raise WrongAnswer(
                    "the order is ascending, but sampling starts at the noisiest timestep"
                )
            if any(after >= before for before, after in pairwise(values)):
                raise WrongAnswer("each timestep must be lower than the one before it")

    @behaviour("trailing spacing, T divisible by S", 2)
    def even(self, student: Student, draw: Draw) -> None:
        """Test two pairs of T and S; `form` judges the order."""
        for total, count in (self._divisible(draw), (1000, 50)):
            self._compare(student, total, count)

    @behaviour("T not divisible by S, S = T, S = 1", 1)
    def uneven(self, student: Student, draw: Draw) -> None:
        """Test rounding to the nearest timestep, without ties."""
        total = self._divisible(draw)[0]
        for pair in (self._uneven(draw), self._uneven(draw), (total, total), (total, 1)):
            self._compare(student, *pair)

    def _divisible(self, draw: Draw) -> tuple[int, int]:
        """Return T and S such that S divides T."""
        count = 4 + int(draw.order(6)[0])
        return count * (4 + int(draw.order(20)[0])), count

    def _uneven(self, draw: Draw) -> tuple[int, int]:
        """Return T and an odd S without a common factor, so that i T / S is never a half."""
        pairs = [(t, s) for t in range(40, 60) for s in (5, 7, 9, 11, 13)]
        # If T / S is rounded down in floating point, arange with that step gives a value too many.
        fine = [(t, s) for t, s in pairs if math.gcd(t, s) == 1 and math.ceil(t / (t / s)) == s]
        return fine[int(draw.order(len(fine))[0])]

    def _numbers(self, result: object) -> list[int | float]:
        """Return a list or tuple of numbers, an array or a tensor as a list."""
        if isinstance(result, Tensor) and result.ndim == 1:
            result = result.tolist()
        if not isinstance(result, list) or not result:
            raise WrongAnswer(f"expected a list of ints, got {kind(result)}")
        values = []
        for entry in result:
            one = isinstance(entry, Tensor) and entry.numel() == 1
            value = entry.item() if one else entry
            if type(value) is not int and type(value) is not float:
                raise WrongAnswer(f"expected a list of ints, but it contains {kind(value)}")
            if not math.isfinite(value):
                raise WrongAnswer(f"expected a list of ints, but it contains {value}")
            values.append(value)
        return values

    def _compare(self, student: Student, total: int, count: int) -> None:
        """Raise WrongAnswer unless the values are trailing spacing, in any order and type."""
        right = [round(total - i * total / count) - 1 for i in range(count)]
        got = sorted(self._numbers(student.call(self.name, total, count)), reverse=True)
        gap, last = total // count, total - 1
        plain = [total - i * total / count - 1 for i in range(count)]
        leading = [i * total / count for i in reversed(range(count))]
        even = [i * last / max(count - 1, 1) for i in reversed(range(count))]
        cut = [[math.floor(v) for v in plain], [math.ceil(v) for v in plain]]
        mistakes = [
            ([v + 1 for v in right], "all values are one too high: the highest timestep is T - 1"),
            ([v - 1 for v in right], "all values are one too low: the highest timestep is T - 1"),
            ([i * gap for i in reversed(range(count))], "this is leading spacing: start at T - 1"),
            *((v, "this is leading spacing: start at T - 1") for v in self._cut(leading)),
            ([round(v - total / count) for v in plain], "i runs from 0 to S - 1, not from 1 to S"),
            (
                [i * gap + 1 for i in reversed(range(count))],
                "this is leading spacing plus one: start at T - 1",
            ),
            *((e, "this is linspace: trailing spacing does not end at 0") for e in self._cut(even)),
            (
                [last - i for i in range(count)],
                "these are T - 1, T - 2, ...: skip T/S - 1 between two",
            ),
            ([i for i in reversed(range(count))], "these are only the last S timesteps of the run"),
            (
                [last - i * gap for i in range(count)],
                f"T // S drops the fraction of the step: {self.RULE}",
            ),
            *((c, f"round to the nearest, not always up or down: {self.RULE}") for c in cut),
            (plain, f"round to whole timesteps: {self.RULE}"),
        ]
        if len(got) != count:
            raise WrongAnswer(
                f"T = {total}, S = {count}: expected {count} timesteps, got {len(got)}"
            )
        if got != right:
            hint = next((hint for value, hint in mistakes if value == got), None)
            hint = hint or self._about_gaps(got, total, count)
            raise WrongAnswer(f"T = {total}, S = {count}: {hint}")

    def _about_gaps(self, got: list[int | float], total: int, count: int) -> str:
        """Describe the spacing of wrong timesteps, in descending order."""
        gaps = [before - after for before, after in pairwise(got)]
        if len(got) == count and gaps and max(gaps) - min(gaps) > 1:
            between = f"{min(gaps):g} to {max(gaps):g}"
            return f"the gaps between your timesteps are {between}: all must be about T / S"
        return self.RULE

    def _cut(self, values: list[float]) -> list[list]:
        """Return the values rounded in each of the usual ways, and unrounded."""
        return [list(map(way, values)) for way in (round, math.floor, math.ceil, float)]
