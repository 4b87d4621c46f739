"""What every check is made of: behaviours worth points, drawn inputs, plain comparisons."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from autograder.inside.student import Foreign, Interrupted, WrongAnswer

RTOL, ATOL = 1e-4, 1e-5  # float32 work on tiny tensors is a hundred times closer than this


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came out for one behaviour of one cell."""

    property: str
    points: float
    passed: bool
    hint: str
    seconds: float


def behaviour(title: str, points: float) -> Callable:
    """Mark a method of a check as one behaviour that is worth `points`."""

    def mark(method: Callable) -> Callable:
        method.behaviour = (title, points)
        return method

    return mark


class Draw:
    """Random inputs of one seed, as float32 tensors on the CPU."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Values between `low` and `high`, of the given shape."""
        unit = torch.rand(shape, generator=self.generator, dtype=torch.float32, device="cpu")
        return low + (high - low) * unit

    def signed(self, *shape: int, low: float = 0.5, high: float = 1.5) -> Tensor:
        """Values of either sign and of a size between `low` and `high`: never near zero."""
        sign = torch.where(self.uniform(*shape) < 0.5, -1.0, 1.0)
        return sign * self.uniform(*shape, low=low, high=high)

    def order(self, n: int) -> Tensor:
        """A random order of 0 ... n - 1, shape (n,)."""
        return torch.randperm(n, generator=self.generator, device="cpu")


class Check:
    """One graded cell. Subclasses hold the behaviours, in the order they are reported."""

    name: ClassVar[str]  # the cell's grade_id
    answer: ClassVar[str] = ""  # what the cell defines, where that is not called as the cell is
    points: ClassVar[float]
    seals: ClassVar[Sequence[str]] = ()  # "package.module:function", closed during the check
    stand_ins: ClassVar[dict[str, str]] = {}  # earlier cells whose mistakes shall not count here

    @classmethod
    def behaviours(cls) -> list[tuple[str, float, str]]:
        """Title, points and method name of each behaviour."""
        return [(*m.behaviour, n) for n, m in vars(cls).items() if hasattr(m, "behaviour")]

    def run(self, student: Any, seed: int) -> list[Verdict]:
        """Judge every behaviour; where an earlier cell may be at fault, judge without it too."""
        with student.guard(self.seals):
            verdicts = self._judge(student, seed)
            if self.stand_ins and not all(verdict.passed for verdict in verdicts):
                # Where there is no time left for it, what was judged stands.
                with contextlib.suppress(WrongAnswer), student.standing_in(self.stand_ins):
                    # First in a tie: its hints are about this cell, not an earlier one.
                    verdicts = max(self._judge(student, seed), verdicts, key=earned)
        return verdicts

    def _judge(self, student: Any, seed: int) -> list[Verdict]:
        verdicts, stopped = [], None
        for title, points, method in self.behaviours():
            start, passed, hint = time.perf_counter(), False, ""
            try:
                if stopped:
                    raise stopped
                getattr(self, method)(student, Draw(seed))
                passed = True
            except WrongAnswer as wrong:
                hint = str(wrong).strip() or "its code says nothing about what is wrong"
                stopped = wrong if isinstance(wrong, Interrupted) else None
            seconds = time.perf_counter() - start
            verdicts.append(Verdict(title, points, passed, hint, seconds))
        return verdicts


def earned(verdicts: Iterable[Verdict]) -> float:
    """The points of the behaviours that hold."""
    return sum(verdict.points for verdict in verdicts if verdict.passed)


def close(a: Tensor | float, b: Tensor | float) -> bool:
    """Whether two values have one shape and agree to float32's honest accuracy."""
    try:
        a, b = (torch.as_tensor(value, dtype=torch.float64) for value in (a, b))
    except (TypeError, ValueError, RuntimeError):  # a student's value may be anything
        return False
    pairs = zip(a.flatten().tolist(), b.flatten().tolist(), strict=False)
    # Written out, in Python's own floats: `not <=` also refuses NaN.
    return a.shape == b.shape and all(abs(x - y) <= ATOL + RTOL * abs(y) for x, y in pairs)


def diagnose(got: Tensor | float, mistakes: Iterable[tuple], otherwise: str) -> str:
    """The hint of the first typical mistake that would have given what we got."""
    return next((hint for value, hint in mistakes if close(got, value)), otherwise)


def kind(value: object) -> str:
    """What was returned, in words."""
    if value is None:
        return "nothing (is there a `return`?)"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
    name = value.type_name if isinstance(value, Foreign) else type(value).__name__
    return f"a value of type {name}"


def as_tensor(value: object, shape: Sequence[int], axes: str) -> Tensor:
    """A returned float tensor of exactly this shape, as float64; `axes` names it: "(B, D)"."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise WrongAnswer(f"expected a float tensor of shape {axes}, got {kind(value)}")
    if tuple(value.shape) != tuple(shape):
        raise WrongAnswer(
            f"expected shape {axes} = {tuple(shape)}, got {tuple(value.shape)}: check `dim`"
        )
    if not all(map(math.isfinite, value.flatten().tolist())):
        raise WrongAnswer(
            "the result holds NaN or infinity, though every input is of ordinary size"
        )
    return value.to(torch.float64)


def as_number(value: object, what: str = "the result") -> float:
    """A returned float, or tensor of one float, as a Python float."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
        value = value.item()
    if type(value) not in (float, int):
        raise WrongAnswer(f"expected {what} to be one float, got {kind(value)}")
    if not math.isfinite(value):
        raise WrongAnswer(f"{what} is {value}, though every input is of ordinary size")
    return float(value)


def require_repeatable(student: Any, name: str, *arguments: object, calls: int = 2) -> None:
    """Refuse a function whose finite float results differ between equal calls."""
    first, *others = (student.call(name, *arguments) for _ in range(calls))
    if not all(close(other, first) for other in others):
        raise WrongAnswer(
            "two calls on the same arguments differ: draw nothing inside, use what is given"
        )


def require_gradients(gradients: Sequence[Tensor | None], *names: str) -> None:
    """Refuse a gradient that did not arrive at the argument of that name."""
    for gradient, name in zip(gradients, names, strict=True):
        if gradient is None or not any(gradient.flatten().tolist()):
            raise WrongAnswer(
                f"no gradient reaches `{name}`: keep to tensor operations all the way "
                "(.item(), .detach(), no_grad and detours over NumPy cut the graph)"
            )
        as_tensor(gradient, gradient.shape, "of the gradient")


def require_slopes(
    student: Any, target: Any, arguments: Sequence, wrt: dict[int, str], draw: Draw
) -> None:
    """Refuse gradients other than the slopes of the student's own function, by names in `wrt`."""
    name, item = target if isinstance(target, tuple) else (target, None)
    found = student.grad(target, arguments, tuple(wrt))
    require_gradients(found, *wrt.values())

    def value(place: int, moved: Tensor) -> Any:
        result = student.call(name, *arguments[:place], moved, *arguments[place + 1 :])
        result = result if item is None else result[item]
        return result.sum() if isinstance(result, Tensor) else as_number(result)

    def differs(place: int, gradient: Tensor, step: Tensor) -> bool:
        given = arguments[place]
        rise = (value(place, given + step) - value(place, given - step)) / 2
        return abs(rise - (gradient * step).sum()) > 0.05 * step.norm() * gradient.norm()

    for place, gradient in zip(wrt, found, strict=True):
        # Along the gradient, anywhere, and along each row, where a loss may not change at all.
        uphill = (gradient * arguments[place]).sum(-1, keepdim=True) > 0
        along_rows = torch.where(uphill, arguments[place], -arguments[place])
        for way in (gradient, draw.signed(*gradient.shape), along_rows):
            step = 0.01 * way / way.norm()
            # A kink (of an argmax) that lies within the step is not within a tenth of it.
            if differs(place, gradient, step) and differs(place, gradient, step / 10):
                raise WrongAnswer(
                    f"a part of the gradient at `{wrt[place]}` is cut off or wrong: no .detach(), "
                    ".data, .item() or no_grad, in no term"
                )


def require_untouched(
    student: Any, target: Any, arguments: Sequence[object], names: Sequence[str]
) -> None:
    """Refuse a call that changes a tensor that it was given."""
    _, after = student.call_and_look(target, *arguments)
    for before, now, name in zip(arguments, after, names, strict=True):
        if isinstance(before, Tensor) and not close(now, before):
            raise WrongAnswer(
                f"`{name}` itself was changed, and its owner still needs it: leave arguments as "
                "they are, work on a new tensor (no `+=`, `x[...] =` or `_` methods; use clone())"
            )
