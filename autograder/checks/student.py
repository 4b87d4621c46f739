"""The interface through which a check reaches a student's work."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from torch import Tensor

from autograder.inside.stubs import Filled, Settings
from autograder.inside.student import Handle

Target = str | Handle  # a name of the notebook, or a model that `new` has built


class Student(Protocol):
    """A student's work, in this process (`InKernel`) or in a sandbox (`RemoteStudent`).

    Plain values go in and come out. Every method raises WrongAnswer if the student's code fails.
    """

    def call(self, target: Target, *args: object) -> object:
        """Return the plain result of `target` on copies of `args`."""
        ...

    def call_and_look(self, target: Target, *args: object) -> tuple[object, list]:
        """Return the plain result, and the copies of `args` as the call left them."""
        ...

    def new(
        self,
        cls: str,
        config: dict | Settings,
        weights: dict[str, Tensor] | Filled,
        *,
        training: bool = False,
    ) -> Handle:
        """Build the notebook's class `cls` with these weights, and return a handle to it."""
        ...

    def grad(
        self, target: Target | tuple[str, int], args: Sequence, wrt: Sequence
    ) -> list[Tensor | None]:
        """Return the gradients of the summed result, None where none arrives.

        `("f", 0)` as the target takes result 0 of `f`. See `InKernel.grad` for `wrt`.
        """
        ...

    def guard(self, seals: Sequence[str]) -> AbstractContextManager[None]:
        """Return a block in which these library functions are sealed and output is swallowed."""
        ...

    def standing_in(self, names: dict[str, str]) -> AbstractContextManager[None]:
        """Return a block in which library functions replace these names of the notebook."""
        ...
