"""Checks of notebook 03, second part: the timesteps that a short run keeps."""

import math
from itertools import pairwise
from typing import Any

from torch import Tensor

from autograder.checks.base import Check, Draw, behaviour, kind
from autograder.inside.student import WrongAnswer


class DDIMTimesteps(Check):
    """The timesteps that a run of S steps keeps, with trailing spacing."""

    name = "ddim_timesteps"
    points = 4
    seals = ("mnistdiff.samplers:inference_timesteps",)
    RULE = "trailing spacing is round(T - i T / S) - 1 for i = 0 ... S - 1"

    @behaviour("S different ints, from high to low, within 0 ... T - 1", 1)
    def form(self, student: Any, draw: Draw) -> None:
        """Number, type, order and range, whatever the spacing."""
        for total, count in (self._divisible(draw), self._uneven(draw)):
            result = student.call(self.name, total, count)
            values = self._numbers(result)
            if not all(type(value) is int for value in values):
                raise WrongAnswer(
                    "expected whole numbers of type int, since they index abar: use int()"
                )
            if len(values) != count:
                raise WrongAnswer(f"asked for {count} timesteps, got {len(values)}")
            if min(values) < 0 or max(values) >= total:
                low, high = min(values), max(values)
                raise WrongAnswer(
                    f"timesteps run from 0 to T - 1: with T = {total}, got {low} to {high}"
                )
            if values == sorted(values) and count > 1:
                raise WrongAnswer(
                    "the order is ascending: sampling starts at the noisiest timestep"
                )
            if any(after >= before for before, after in pairwise(values)):
                raise WrongAnswer("each timestep must be lower than the one before it")

    @behaviour("trailing spacing, T divisible by S", 2)
    def even(self, student: Any, draw: Draw) -> None:
        """Two pairs of T and S; the order is judged elsewhere."""
        for total, count in (self._divisible(draw), (1000, 50)):
            self._compare(student, total, count)

    @behaviour("T not divisible by S, S = T, S = 1", 1)
    def uneven(self, student: Any, draw: Draw) -> None:
        """Rounded to the nearest timestep, with no case where that could go both ways."""
        total = self._divisible(draw)[0]
        for pair in (self._uneven(draw), self._uneven(draw), (total, total), (total, 1)):
            self._compare(student, *pair)

    def _divisible(self, draw: Draw) -> tuple[int, int]:
        """T and S of which S divides T."""
        count = 4 + int(draw.order(6)[0])
        return count * (4 + int(draw.order(20)[0])), count

    def _uneven(self, draw: Draw) -> tuple[int, int]:
        """T and an odd S that share no factor: i T / S never ends on a half."""
        pairs = [(t, s) for t in range(40, 60) for s in (5, 7, 9, 11, 13)]
        # Where T / S is rounded down, an arange by it has one value too many.
        fine = [(t, s) for t, s in pairs if math.gcd(t, s) == 1 and math.ceil(t / (t / s)) == s]
        return fine[int(draw.order(len(fine))[0])]

    def _numbers(self, result: object) -> list[int | float]:
        """The result as a list, from a list or tuple of numbers, an array or a tensor."""
        if isinstance(result, Tensor) and result.ndim == 1:
            result = result.tolist()
        if not isinstance(result, list) or not result:
            raise WrongAnswer(f"expected a list of ints, got {kind(result)}")
        values = [v.item() if isinstance(v, Tensor) and v.numel() == 1 else v for v in result]
        for value in values:
            if type(value) not in (int, float):
                raise WrongAnswer(f"expected a list of ints, but it holds {kind(value)}")
            if not math.isfinite(value):
                raise WrongAnswer(f"expected a list of ints, but it holds {value}")
        return values

    def _compare(self, student: Any, total: int, count: int) -> None:
        """Refuse other timesteps than trailing spacing's, in whatever order and type."""
        right = [round(total - i * total / count) - 1 for i in range(count)]
        got = sorted(self._numbers(student.call(self.name, total, count)), reverse=True)
        gap, last = total // count, total - 1
        plain = [total - i * total / count - 1 for i in range(count)]
        even = [i * last / max(count - 1, 1) for i in reversed(range(count))]
        cut = [[math.floor(v) for v in plain], [math.ceil(v) for v in plain]]
        mistakes = [
            ([v + 1 for v in right], "all are one too high: the highest timestep is T - 1"),
            ([v - 1 for v in right], "all are one too low: the highest timestep is T - 1"),
            ([i * gap for i in reversed(range(count))], "this is leading spacing: start at T - 1"),
            ([i * gap + 1 for i in reversed(range(count))], "this is leading spacing, plus one"),
            *((e, "this is linspace: trailing spacing does not end at 0") for e in self._cut(even)),
            ([last - i for i in range(count)], "these are T - 1, T - 2, ...: leave out T/S - 1"),
            ([i for i in reversed(range(count))], "this is only the end of the run, not all of it"),
            (
                [last - i * gap for i in range(count)],
                f"T // S drops a part of the step: {self.RULE}",
            ),
            *((c, f"round to the nearest, neither up nor down: {self.RULE}") for c in cut),
            (plain, f"round to whole timesteps: {self.RULE}"),
        ]
        if got != right:
            hint = next((hint for value, hint in mistakes if value == got), self.RULE)
            raise WrongAnswer(f"T = {total}, S = {count}: {hint}")

    def _cut(self, values: list[float]) -> list[list]:
        """Made whole in each of the usual ways, or not at all."""
        return [list(map(way, values)) for way in (round, math.floor, math.ceil, float)]
