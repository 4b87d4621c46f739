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
from autograder.text import encodable

GRACE = 3.0  # seconds after the student side's own deadline; then the sandbox is killed
CHECK_SECONDS = 30.0  # of all calls of one check together
LARGEST = 1 << 63  # whole number that is accepted; far larger ones do not fit a float
KINDS = (  # real types that torch can compare; it can only store some others
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)


class RemoteStudent:
    """A student's work in a sandbox, reached through the agent there.

    Every method returns plain values. It raises WrongAnswer with a sentence for the student, and
    SandboxDied if the sandbox ends before it answers.
    """

    def __init__(self, sandbox: Sandbox, seconds: float = CHECK_SECONDS) -> None:
        self.sandbox = sandbox
        self.until = time.monotonic() + seconds

    def call(self, target: str | Handle, *args: object) -> object:
        """Return the plain result of the function or object `target` on copies of `args`."""
        return plain_values(self._ask(op="call", target=target, args=list(args)))

    def call_and_look(self, target: str | Handle, *args: object) -> tuple[object, list]:
        """Return the plain result, and the copies of `args` as the call left them."""
        answer = self._ask(op="call_and_look", target=target, args=list(args))
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], list):
            raise WrongAnswer(TAMPERED)
        if len(answer[1]) != len(args):
            raise WrongAnswer(TAMPERED)
        return plain_values(answer[0]), [plain_values(argument, 1) for argument in answer[1]]

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
        """Return the gradients of the summed result, as `InKernel.grad` does."""
        answer = self._ask(op="grad", target=target, args=list(args), wrt=list(wrt))
        if not isinstance(answer, list) or len(answer) != len(wrt):
            raise WrongAnswer(TAMPERED)
        if not all(gradient is None or isinstance(gradient, Tensor) for gradient in answer):
            raise WrongAnswer(TAMPERED)
        return answer

    @contextlib.contextmanager
    def guard(self, seals: Sequence[str]) -> Iterator[None]:
        """Run a block with these library functions sealed, output dropped and state restored."""
        with self._block("guard", list(seals)):
            yield

    @contextlib.contextmanager
    def standing_in(self, names: dict[str, str]) -> Iterator[None]:
        """Run a block in which the library function at each path replaces the notebook's name."""
        with self._block("standing_in", names):
            yield

    @contextlib.contextmanager
    def _block(self, block: str, given: Any) -> Iterator[None]:
        self._ask(op="enter", block=block, given=given)
        yield  # if the sandbox dies here, there is nothing to leave
        with contextlib.suppress(WrongAnswer):  # the verdicts reached so far stay
            self._ask(op="leave")

    def _ask(self, **request: Any) -> object:
        if request["op"] != "leave" and time.monotonic() > self.until:
            raise Interrupted("it takes too long: a right answer takes milliseconds")
        answer = self.sandbox.ask(MAX_SECONDS + GRACE, **request)
        for name, kind in (("interrupted", Interrupted), ("wrong", WrongAnswer)):
            if name in answer:
                raise kind(encodable(answer[name], 500))
        if "value" not in answer:
            raise WrongAnswer(TAMPERED)
        return answer["value"]


TAMPERED = "the notebook's process sent something other than the answer to the question"


def plain_values(value: object, depth: int = 0) -> object:
    """Return only values that `plain` on the student's side can send.

    The student may have replaced `plain`, so whatever else arrives becomes a `Foreign`.
    """
    if value is None or type(value) in (bool, float):
        return value
    if type(value) is int and abs(value) < LARGEST:
        return value
    if type(value) is str:
        return encodable(value, len(value))
    if isinstance(value, Tensor) and value.dtype in KINDS:
        return value
    if type(value) is list and depth <= MAX_DEPTH:
        return [plain_values(item, depth + 1) for item in value]
    if type(value) is dict and depth <= MAX_DEPTH:
        return {encodable(key, 1000): plain_values(item, depth + 1) for key, item in value.items()}
    return Foreign(encodable(getattr(value, "type_name", type(value).__name__), 100))
