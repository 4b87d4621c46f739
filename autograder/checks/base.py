"""The parts that all checks share: behaviours worth points, random inputs, comparisons."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from autograder.checks.student import Student
from autograder.inside.student import Foreign, Interrupted, WrongAnswer, weighted_sum

NOT_FINITE = (
    "although all inputs have ordinary values: look for the square root of a negative number, the "
    "logarithm of 0 or less, a division by 0, or an exponential of a large number"
)
RTOL, ATOL = 1e-4, 1e-5  # float32 results on tiny tensors agree a hundred times more closely


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The result of one behaviour of one cell."""

    property: str
    points: float
    passed: bool
    hint: str
    seconds: float


def behaviour(title: str, points: float) -> Callable:
    """Mark a method of a check as one behaviour worth `points`."""

    def mark(method: Callable) -> Callable:
        method.behaviour = (title, points)
        return method

    return mark


class Draw:
    """Random inputs from one seed, as float32 tensors on the CPU."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return values between `low` and `high` in the given shape."""
        unit = torch.rand(shape, generator=self.generator, dtype=torch.float32, device="cpu")
        return low + (high - low) * unit

    def signed(self, *shape: int, low: float = 0.5, high: float = 1.5) -> Tensor:
        """Return values of either sign with a magnitude in [low, high], so never near zero."""
        sign = torch.where(self.uniform(*shape) < 0.5, -1.0, 1.0)
        return sign * self.uniform(*shape, low=low, high=high)

    def order(self, n: int) -> Tensor:
        """Return a random permutation of 0 ... n - 1, shape (n,)."""
        return torch.randperm(n, generator=self.generator, device="cpu")


class Check:
    """The check of one graded cell. Subclasses define its behaviours in the order of the report."""

    name: ClassVar[str]  # the cell's grade_id
    answer: ClassVar[str] = ""  # the name that the cell defines, if it differs from `name`
    points: ClassVar[float]
    seals: ClassVar[Sequence[str]] = ()  # "package.module:function"; these raise during the check
    stand_ins: ClassVar[dict[str, str]] = {}  # earlier cells whose mistakes cost no points here

    @classmethod
    def behaviours(cls) -> list[tuple[str, float, str]]:
        """Return title, points and method name of each behaviour."""
        return [(*m.behaviour, n) for n, m in vars(cls).items() if hasattr(m, "behaviour")]

    def run(self, student: Student, seed: int) -> list[Verdict]:
        """Judge every behaviour.

        If one fails and an earlier cell may be at fault, judge again with the library in its
        place, and keep the better result.
        """
        with student.guard(self.seals):
            verdicts = self._judge(student, seed)
            if self.stand_ins and not all(verdict.passed for verdict in verdicts):
                # If no time is left for that, the first verdicts stand.
                with contextlib.suppress(WrongAnswer), student.standing_in(self.stand_ins):
                    # In a tie `max` keeps the first: its hints are about this cell only.
                    verdicts = max(self._judge(student, seed), verdicts, key=earned)
        return verdicts

    def _judge(self, student: Student, seed: int) -> list[Verdict]:
        verdicts, stopped = [], None
        for title, points, method in self.behaviours():
            start, passed, hint = time.perf_counter(), False, ""
            try:
                if stopped:
                    raise stopped
                getattr(self, method)(student, Draw(seed))
                passed = True
            except WrongAnswer as wrong:
                hint = str(wrong).strip() or "the code raised an error without a message"
                stopped = wrong if isinstance(wrong, Interrupted) else None
            seconds = time.perf_counter() - start
            verdicts.append(Verdict(title, points, passed, hint, seconds))
        return verdicts


def earned(verdicts: Iterable[Verdict]) -> float:
    """Return the sum of the points of the behaviours that passed."""
    return sum(verdict.points for verdict in verdicts if verdict.passed)


def close(a: object, b: object) -> bool:
    """Return whether two values have the same shape and agree to the accuracy of float32."""
    try:
        first, second = (torch.as_tensor(value, dtype=torch.float64) for value in (a, b))
    except (TypeError, ValueError, RuntimeError):  # a student's value may be anything
        return False
    if first.shape != second.shape:
        return False
    pairs = zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)
    # Compared as Python floats: `<=` is also False for NaN.
    return all(abs(x - y) <= ATOL + RTOL * abs(y) for x, y in pairs)


def diagnose(got: Tensor | float, mistakes: Iterable[tuple], otherwise: str) -> str:
    """Return the hint of the first mistake whose value is `got`; `otherwise` if there is none."""
    return next((hint for value, hint in mistakes if close(got, value)), otherwise)


def clipped(right: Tensor, got: Tensor) -> Tensor:
    """Return `right` clipped to the range of `got`, to recognise an answer that clips.

    Return NaN if all values of `got` are equal, because then they do not tell.
    """
    low, high = got.double().min(), got.double().max()
    return right.double().clamp(low, high) if low < high else torch.full_like(right, math.nan)


def require_finite(value: object, what: str = "the result") -> None:
    """Raise WrongAnswer if a number or float tensor holds NaN or infinity; ignore other types."""
    if isinstance(value, Tensor) and value.is_floating_point():
        numbers = value.flatten().tolist()
    else:
        numbers = [value] if type(value) is float else []
    if not all(map(math.isfinite, numbers)):
        raise WrongAnswer(f"{what} contains NaN or infinity, {NOT_FINITE}")


def kind(value: object) -> str:
    """Describe a returned value for the student."""
    if value is None:
        return "nothing (is there a `return`?)"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
    name = value.type_name if isinstance(value, Foreign) else type(value).__name__
    return f"a value of type {name}"


def as_tensor(value: object, shape: Sequence[int], axes: str) -> Tensor:
    """Return a float tensor of exactly this shape as float64; `axes` names it: "(B, D)".

    Raises WrongAnswer if it is anything else, or holds NaN or infinity.
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise WrongAnswer(f"expected a float tensor of shape {axes}, got {kind(value)}")
    require_finite(value)
    if tuple(value.shape) != tuple(shape):
        raise WrongAnswer(
            f"expected shape {axes} = {tuple(shape)}, got {tuple(value.shape)}: check `dim` and "
            "`keepdim`"
        )
    return value.to(torch.float64)


def as_number(value: object, what: str = "the result") -> float:
    """Return a number, or a tensor of one float, as a Python float; WrongAnswer otherwise."""
    require_finite(value, what)
    if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
        value = value.item()
    if type(value) is not float and type(value) is not int:
        raise WrongAnswer(f"expected {what} to be one number, got {kind(value)}")
    return float(value)


def require_repeatable(student: Student, name: str, *arguments: object, calls: int = 2) -> None:
    """Raise WrongAnswer if the finite float results of equal calls differ."""
    first, *others = (student.call(name, *arguments) for _ in range(calls))
    if not all(close(other, first) for other in others):
        raise WrongAnswer(
            "two calls with the same arguments give different results: do not draw random numbers "
            "inside, use the arguments"
        )


def require_gradients(gradients: Sequence[Tensor | None], *names: str) -> list[Tensor]:
    """Return the gradients; raise WrongAnswer if one did not reach the argument of that name."""
    found = []
    for gradient, name in zip(gradients, names, strict=True):
        if gradient is None:
            raise WrongAnswer(
                f"no gradient reaches `{name}`: it is not used, or .item(), .detach(), .data, "
                "no_grad or NumPy cuts the gradient"
            )
        require_finite(gradient, f"the gradient for `{name}`")
        if not any(gradient.flatten().tolist()):
            raise WrongAnswer(
                f"the gradient for `{name}` is 0: no gradient reaches `{name}` through a constant, "
                "a clamp or a rounded value"
            )
        found.append(gradient)
    return found


def require_slopes(
    student: Student,
    target: str | tuple[str, int],
    arguments: Sequence[Any],
    wrt: dict[int, str],
    draw: Draw,
) -> None:
    """Raise WrongAnswer if a gradient differs from the slope of the student's own function.

    `wrt` maps the index of an argument to its name; ("f", 0) as the target takes result 0 of f.
    """
    name, item = target if isinstance(target, tuple) else (target, None)
    found = require_gradients(student.grad(target, arguments, tuple(wrt)), *wrt.values())

    def value(place: int, moved: Tensor) -> Any:
        result = student.call(name, *arguments[:place], moved, *arguments[place + 1 :])
        if item is not None:
            result = result[item]  # pyright: ignore[reportIndexIssue]  # `grad` has indexed it
        return weighted_sum(result) if isinstance(result, Tensor) else as_number(result)

    def differs(place: int, gradient: Tensor, step: Tensor) -> bool:
        given = arguments[place]
        rise = (value(place, given + step) - value(place, given - step)) / 2
        return abs(rise - (gradient * step).sum()) > 0.05 * step.norm() * gradient.norm()

    for place, gradient in zip(wrt, found, strict=True):
        # Along the gradient, in a random direction, and along each row, in which the loss may be
        # constant.
        uphill = (gradient * arguments[place]).sum(-1, keepdim=True) > 0
        along_rows = torch.where(uphill, arguments[place], -arguments[place])
        for direction in (gradient, draw.signed(*gradient.shape), along_rows):
            step = 0.01 * direction / direction.norm()
            # The function may have a kink (from an argmax) within the step; a tenth avoids it.
            if differs(place, gradient, step) and differs(place, gradient, step / 10):
                raise WrongAnswer(
                    f"part of the gradient for `{wrt[place]}` is cut off or wrong: do not use "
                    ".detach(), .data, .item() or no_grad in any term"
                )
