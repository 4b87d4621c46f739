"""A student's work in another process, behind the same interface as `InKernel`."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from autograder.inside.stubs import Filled, Settings
from autograder.inside.student import (
    MAX_DEPTH,
    MAX_SECONDS,
    Foreign,
    Handle,
    Interrupted,
    WrongAnswer,
)
from autograder.sandbox.process import Sandbox

GRACE = 3.0  # seconds beyond the student side's own deadline: then the sandbox is killed
CHECK_SECONDS = 30.0  # of all calls of one check together
LARGEST = 1 << 63  # of a whole number: a longer one is no float
KINDS = (  # of real numbers that torch can compare; it has others that it can only store
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)


class Remote:
    """Asks the agent in a sandbox; what comes back is plain values, or words about the fault.

    Raises Died when the sandbox ends before it answers.
    """

    def __init__(self, sandbox: Sandbox, seconds: float = CHECK_SECONDS) -> None:
        self.sandbox = sandbox
        self.until = time.monotonic() + seconds

    def call(self, target: str | Handle, *args: object) -> object:
        """The plain result of the function or object `target` on copies of `args`."""
        return plain_values(self._ask(op="call", target=target, args=list(args)))

    def call_and_look(self, target: str | Handle, *args: object) -> tuple[object, list]:
        """The plain result, and the copies of `args` as the call has left them."""
        answer = self._ask(op="call_and_look", target=target, args=list(args))
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], list):
            raise WrongAnswer(TAMPERED)
        if len(answer[1]) != len(args):
            raise WrongAnswer(TAMPERED)
        return plain_values(answer[0]), plain_values(answer[1])

    def new(
        self,
        cls: str,
        config: dict | Settings,
        weights: dict[str, Tensor] | Filled,
        *,
        training: bool = False,
    ) -> Handle:
        """Build the notebook's class `cls` with these weights, in evaluation mode by default."""
        answer = self._ask(op="new", cls=cls, config=config, weights=weights, training=training)
        if not isinstance(answer, Handle):
            raise WrongAnswer(TAMPERED)
        return answer

    def grad(
        self, target: str | Handle | tuple[str, int], args: Sequence, wrt: Sequence
    ) -> list[Tensor | None]:
        """Gradients of the summed result, as `InKernel.grad` gives them."""
        answer = self._ask(op="grad", target=target, args=list(args), wrt=list(wrt))
        whole = isinstance(answer, list) and len(answer) == len(wrt)
        if not whole or not all(g is None or isinstance(g, Tensor) for g in answer):
            raise WrongAnswer(TAMPERED)
        return answer

    @contextlib.contextmanager
    def guard(self, seals: Sequence[str]) -> Iterator[None]:
        """A block with these library functions sealed, output swallowed and state restored."""
        with self._block("guard", list(seals)):
            yield

    @contextlib.contextmanager
    def standing_in(self, names: dict[str, str]) -> Iterator[None]:
        """A block in which each name of the notebook is the library function at the path."""
        with self._block("standing_in", names):
            yield

    @contextlib.contextmanager
    def _block(self, block: str, given: Any) -> Iterator[None]:
        self._ask(op="enter", block=block, given=given)
        yield  # where the sandbox died there is nothing to leave
        with contextlib.suppress(WrongAnswer):  # what was judged stands
            self._ask(op="leave")

    def _ask(self, **request: Any) -> object:
        if request["op"] != "leave" and time.monotonic() > self.until:
            raise Interrupted("it takes too long: right answers take milliseconds")
        answer = self.sandbox.ask(MAX_SECONDS + GRACE, **request)
        for name, kind in (("interrupted", Interrupted), ("wrong", WrongAnswer)):
            if name in answer:
                raise kind(text(answer[name], 500))
        if "value" not in answer:
            raise WrongAnswer(TAMPERED)
        return answer["value"]


TAMPERED = "the notebook's process answered something else than was asked"


def text(value: object, most: int) -> str:
    """Text that any file can hold: half of a surrogate pair cannot be written anywhere."""
    return str(value)[:most].encode("utf-8", "replace").decode()


def plain_values(value: object, depth: int = 0) -> object:
    """What `plain` can give on the student's side, and nothing else: they may have replaced it."""
    if value is None or type(value) in (bool, float):
        return value
    if type(value) is int and abs(value) < LARGEST:
        return value
    if type(value) is str:
        return text(value, len(value))
    if isinstance(value, Tensor) and value.dtype in KINDS:
        return value
    if type(value) is list and depth <= MAX_DEPTH:
        return [plain_values(item, depth + 1) for item in value]
    if type(value) is dict and depth <= MAX_DEPTH:
        return {text(key, 1000): plain_values(item, depth + 1) for key, item in value.items()}
    return Foreign(text(getattr(value, "type_name", type(value).__name__), 100))
