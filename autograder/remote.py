"""A student's work in another process, behind the same interface as `InKernel`."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from autograder.inside.carriers import MAX_SECONDS, Handle, Interrupted, Wrong
from autograder.inside.stubs import Filled, Settings
from autograder.sandbox import Sandbox

GRACE = 3.0  # seconds beyond the student side's own deadline: then the sandbox is killed


class Remote:
    """Asks the agent in a sandbox; what comes back is plain values, or words about the fault.

    Raises Died when the sandbox ends before it answers.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def call(self, target: str | Handle, *args: object) -> object:
        """The plain result of the function or object `target` on copies of `args`."""
        return self._ask(op="call", target=target, args=list(args))

    def call_and_look(self, target: str | Handle, *args: object) -> tuple[object, list]:
        """The plain result, and the copies of `args` as the call has left them."""
        answer = self._ask(op="call_and_look", target=target, args=list(args))
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], list):
            raise Wrong(TAMPERED)
        if len(answer[1]) != len(args):
            raise Wrong(TAMPERED)
        return answer

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
            raise Wrong(TAMPERED)
        return answer

    def grad(
        self, target: str | Handle | tuple[str, int], args: Sequence, wrt: Sequence
    ) -> list[Tensor | None]:
        """Gradients of the summed result, as `InKernel.grad` gives them."""
        answer = self._ask(op="grad", target=target, args=list(args), wrt=list(wrt))
        whole = isinstance(answer, list) and len(answer) == len(wrt)
        if not whole or not all(g is None or isinstance(g, Tensor) for g in answer):
            raise Wrong(TAMPERED)
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
        self._ask(op="leave")

    def _ask(self, **request: Any) -> object:
        answer = self.sandbox.ask(MAX_SECONDS + GRACE, **request)
        for name, kind in (("interrupted", Interrupted), ("wrong", Wrong)):
            if name in answer:
                raise kind(str(answer[name])[:500])
        if "value" not in answer:
            raise Wrong(TAMPERED)
        return answer["value"]


TAMPERED = "the notebook's process answered something else than was asked"
