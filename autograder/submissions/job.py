"""A job: one notebook of one student, as plain values."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One notebook of one student: all that a worker needs, as plain values."""

    key: str
    student: str
    assignment: str
    notebook: str
    submission: str  # SHA-256 of the file, "" where there is none
    received: str | None  # ISO time
    spooled: str  # path of the copy, "" where there is none
    released: str  # path of the notebook as it was given to students
    reason: str = ""  # why it cannot be graded

    def record(self, state: str, **more: Any) -> dict[str, Any]:
        """The ledger's line about this job."""
        named = ("key", "student", "assignment", "notebook", "submission", "received")
        return {name: asdict(self)[name] for name in named} | {"state": state} | more
