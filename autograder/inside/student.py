"""The interface of a check to a student's work: by name, with plain values in and out.

| part of the interface | meaning |
|---|---|
| `call(target, *args)` | call a function of the notebook, or a handle |
| `call_and_look(target, *args)` | the same, and also return the arguments after the call |
| `new(cls, config, weights)` | build a class of the notebook with given weights, get a handle |
| `grad(target, args, wrt)` | gradient of the summed result, None if there is none |
| `Stub(name, **weights)` | as an argument: a small known model, built on the student's side |
| `Settings(path, **values)` | as a config: a configuration of the library |
| `Filled(seed, given)` | as weights: random ones for all parameters |
| `guard(seals)` | a block with library functions sealed and output dropped |
| `standing_in(names)` | a block in which library functions replace earlier cells |

`InKernel` works in the student's own process; `RemoteStudent` has the same interface and works
across processes. So a check never sees a student's object, only its value.
"""

import ast
import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from mnistdiff.course.advice import NO_NUMPY, on_error

from .guards import capture, deadline, locate, preserved, seal
from .stubs import Filled, Settings, Stub, part

MAX_DEPTH = 4  # of nested lists, because a list may contain itself
MAX_RANGE = 100_000  # a longer range would fill the memory
MAX_TEXT = 300  # of an error message
MAX_SECONDS = 10.0  # of one call; correct answers take milliseconds


class WrongAnswer(Exception):
    """The student's work is wrong; the message tells the student what."""


class Interrupted(WrongAnswer):
    """The student's code was stopped, and no more of it should run."""


@dataclasses.dataclass(frozen=True)
class Handle:
    """The number of an object on the student's side."""

    number: int


@dataclasses.dataclass(frozen=True)
class Foreign:
    """The type of a returned value that is neither a plain tensor nor JSON."""

    type_name: str


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value of plain types, because a subclass could lie about what it equals."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (Tensor, torch.nn.Parameter):
        dense = value.detach().to("cpu").to_dense() if value.is_sparse else value.detach().cpu()
        return dense.resolve_conj().resolve_neg().clone()
    if type(value).__module__ == "numpy" and hasattr(value, "ndim"):
        return plain(value.item() if value.ndim == 0 else torch.tensor(value.tolist()), depth + 1)
    if type(value) is range and len(value) <= MAX_RANGE:
        return list(value)
    if isinstance(value, (tuple, list)) and depth < MAX_DEPTH:
        return [plain(item, depth + 1) for item in value]
    if type(value) is dict and depth < MAX_DEPTH:
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    return Foreign(type(value).__name__)


def fresh(value: Any) -> Any:
    """Return a copy of an argument, so that in-place changes do no harm; build stubs."""
    if isinstance(value, (Stub, Settings)):
        return value.build()
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (tuple, list)):
        return type(value)(fresh(item) for item in value)
    if isinstance(value, dict):
        return {key: fresh(item) for key, item in value.items()}
    return value


def explain(error: BaseException, label: str, file_name: str | None) -> WrongAnswer:
    """Turn what student code raised into a sentence with the error and its line."""
    if isinstance(error, WrongAnswer):
        return error
    try:
        text = str(error)[:MAX_TEXT]
    except Exception:
        text = ""
    if isinstance(error, NotImplementedError) and (not text or "fill in" in text):
        return WrongAnswer(f"`{label}` is not written yet: replace the line that raises this error")
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(f"`{label}` was interrupted: does it ever end?")
    if why := on_error(text):
        text = why if why == NO_NUMPY else f"{why} ({text})"
    line, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file_name:
            line = f" in line {trace.tb_lineno} of its cell"
        trace = trace.tb_next
    return WrongAnswer(f"`{label}` raised {type(error).__name__}{line}: {text}".rstrip(": "))


def described(error: BaseException) -> str:
    """Return the name and the text of an error; for a SyntaxError also its line."""
    name = type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{name} in line {error.lineno}: {error.msg}"[:MAX_TEXT]
    return f"{name}: {error}"[:MAX_TEXT]


def _unreadable_cells(namespace: dict) -> list[tuple[str, str]]:
    """Return source and error of the cells that a Jupyter kernel was given and cannot compile."""
    found = []
    for source in namespace.get("In") or []:
        try:
            compile(source, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError, TypeError) as error:
            found.append((str(source), described(error)))
    return found


def weighted_sum(result: Tensor) -> Tensor:
    """Return the sum of all entries with unequal weights from 1 to 2; of a number, itself.

    In a plain sum, the gradients of results with a mean of zero (normalised ones) cancel.
    """
    places = torch.arange(result.numel(), dtype=result.dtype, device=result.device)
    weights = 1 + places / max(1, result.numel())
    return (result.flatten() * weights).sum()


def gradients(result: object, leaves: Sequence[Sequence[Tensor]]) -> list[Tensor | None]:
    """Return the gradient of the weighted sum per group of leaves, flat for several leaves."""
    if type(result) is not Tensor or not result.requires_grad:
        return [None] * len(leaves)
    every = [leaf for group in leaves for leaf in group]
    by = iter(torch.autograd.grad(weighted_sum(result), every, allow_unused=True))
    found = []
    for group in leaves:
        arrived = [plain(each) for each in (next(by) for _ in group) if each is not None]
        flat = torch.cat([each.flatten() for each in arrived]) if len(arrived) > 1 else None
        found.append(next(iter(arrived), None) if flat is None else flat)
    return found


class InKernel:
    """The student's work in this process; `namespace` is the notebook's `globals()`."""

    def __init__(self, namespace: dict) -> None:
        self.namespace = namespace
        self.failures: list[tuple[str, str]] = []  # source and error of cells that stopped
        self._objects: list[object] = []

    def call(self, target: str | Handle, *args: object) -> object:
        """Return the plain result of the function or object `target` on copies of `args`."""
        return self._run(target, lambda function: plain(function(*[fresh(a) for a in args])))

    def call_and_look(self, target: str | Handle, *args: object) -> tuple[object, list]:
        """Return the plain result, and the copies of `args` after the call."""

        def look(function: Callable) -> tuple[object, list]:
            given = [fresh(argument) for argument in args]
            return plain(function(*given)), [plain(argument) for argument in given]

        return self._run(target, look)

    def new(
        self,
        cls: str,
        config: dict | Settings,
        weights: dict[str, Tensor] | Filled,
        *,
        training: bool = False,
    ) -> Handle:
        """Build the notebook's class `cls` with these weights, in evaluation mode by default.

        `config` holds its arguments by name, or is its only argument.
        """

        def build(klass: Callable) -> object:
            given = fresh(config)
            built = klass(**given) if isinstance(given, dict) else klass(given)
            if not isinstance(built, nn.Module):
                raise WrongAnswer(
                    f"`{cls}` must be a class of networks: keep its first line as given"
                )
            if isinstance(weights, Filled):
                weights.fill(built)
            else:
                built.load_state_dict(fresh(weights))
            return built.train(training)

        self._objects.append(self._run(cls, build))
        return Handle(len(self._objects) - 1)

    def grad(
        self, target: str | Handle | tuple[str, int], args: Sequence, wrt: Sequence
    ) -> list[Tensor | None]:
        """Return gradients of the summed result; the target ("f", 0) means f's result 0.

        `wrt` holds indices of arguments, (0, "A") for the weight A of the stub at index 0, or
        "body" for all parameters of that name in the handle's model, as one flat gradient.
        """
        name, item = target if isinstance(target, tuple) else (target, None)

        def backward(function: Any) -> list[Tensor | None]:
            given, leaves = [fresh(argument) for argument in args], []
            for place in wrt:
                if isinstance(place, str):
                    leaves.append(part(function, place))
                elif isinstance(place, tuple):
                    leaves.append([getattr(given[place[0]], place[1])])
                else:
                    leaves.append([given[place].requires_grad_()])
                    # A clone, because in-place changes of a leaf would raise.
                    given[place] = leaves[-1][0].clone()
            result = function(*given)
            return gradients(result if item is None else result[item], leaves)

        return self._run(name, backward)

    @contextlib.contextmanager
    def guard(self, seals: Sequence[str]) -> Iterator[None]:
        """Seal these library functions, drop output and restore state around a block."""
        with capture(), preserved(), seal(seals):
            yield

    @contextlib.contextmanager
    def standing_in(self, names: dict[str, str]) -> Iterator[None]:
        """Replace each name of the notebook by the library function at the path, in a block."""
        missing = object()
        before = {name: self.namespace.get(name, missing) for name in names}
        try:
            self.namespace.update({name: locate(path) for name, path in names.items()})
            yield
        finally:
            for name, value in before.items():
                if value is missing:
                    self.namespace.pop(name, None)
                else:
                    self.namespace[name] = value

    def _run(self, target: str | Handle, use: Callable[[Any], Any]) -> Any:
        """Apply `use` to the target. Raises WrongAnswer for whatever its code raises."""
        label, function = self._find(target)
        file_name = self._cell_of(function)
        try:
            with deadline(MAX_SECONDS):
                return use(function)
        except BaseException as error:
            raise explain(error, label, file_name) from None

    def _cell_of(self, target: object) -> str | None:
        """Return the file name of the cell that defines this function, class or model."""
        klass = target if isinstance(target, type) else type(target)
        for code in (target, *vars(klass).values()):
            if type(code) is FunctionType and code.__globals__ is self.namespace:
                return code.__code__.co_filename
        return None

    def _why_missing(self, name: str) -> str:
        """Return the error of the cell that should have defined a name, if it is known."""
        defines = re.compile(
            rf"^[ \t]*(?:(?:async )?def|class)[ \t]+{name}\b|^[ \t]*{name}[ \t]*=", re.M
        )
        for source, error in reversed(self.failures or _unreadable_cells(self.namespace)):
            if defines.search(source):
                return f"`{name}` is not defined, because its cell stops with {error}"
        return (
            f"`{name}` is not defined: run its cell, see if it stops with an error, and keep the "
            "name it was given"
        )

    def _find(self, target: str | Handle) -> tuple[str, Any]:
        if isinstance(target, Handle):
            found: Any = self._objects[target.number]
            return type(found).__name__, found
        found = self.namespace.get(target)
        if found is None:
            raise WrongAnswer(self._why_missing(target))
        if not callable(found):
            raise WrongAnswer(
                f"`{target}` is a value of type {type(found).__name__}, not a function: "
                "give that value another name"
            )
        return target, found
