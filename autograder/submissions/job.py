"""A job: one notebook of one student, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One notebook of one student: all that a worker needs, as plain values."""

    key: str
    student: str
    assignment: str
    notebook: str
    submission: str  # SHA-256 of the file, "" if there is none
    received: str | None  # ISO time
    spooled: str  # path of the copy, "" if there is none
    released: str  # path of the notebook that students were given
    reason: str = ""  # why it cannot be graded
    helpers: Sequence[Sequence[str]] = ()  # (path, path of the copy) of Python files beside it
    remark: str = ""  # on what was handed in beside it
    turn: int = 0  # how many results there are already
