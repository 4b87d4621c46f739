"""What the ledger holds: one record for each graded notebook, as plain JSON.

The keys are the ledger's format: they stay, so that older ledgers can be read.
"""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, NotRequired, TypedDict

from autograder.submissions.job import Job


class CheckResult(TypedDict):
    """The result of one behaviour of an answer."""

    property: str
    points: float
    passed: bool
    hint: str
    seconds: float


class CellResult(TypedDict):
    """The result of one cell that is worth points."""

    grade_id: str
    max: float
    points: float | None  # None: a person decides
    state: str  # judged, ended, not reached, by hand or blank
    checks: list[CheckResult]
    lines: list[str]


class Note(TypedDict):
    """A difference between a submission and the notebook that students were given."""

    kind: str  # accident or tampering
    text: str


class Verdict(TypedDict):
    """The results of one notebook."""

    cells: list[CellResult]
    blank: list[str]  # answers left as they were released, by grade_id
    notes: list[Note]
    seconds: dict[str, float]
    restarts: int


class JobRecord(TypedDict):
    """What every record holds: the fields of the job, and when it was decided."""

    key: str
    student: str
    assignment: str
    notebook: str
    submission: str
    received: str | None
    time: float
    turn: NotRequired[int]  # how many results of the job there were before


class GradedRecord(JobRecord):
    """The record of a notebook that was graded."""

    state: Literal["graded"]
    verdict: Verdict


class UngradedRecord(JobRecord):
    """The record of a notebook that could not be graded, with the reason."""

    state: Literal["rejected", "missing", "failed"]
    reason: str
    tries: NotRequired[int]


Record = GradedRecord | UngradedRecord
Records = dict[str, Record]  # of one submission, by notebook
NOTHING = MappingProxyType({})


class Given(NamedTuple):
    """What nbgrader's gradebook adds to the ledger: by (student, grade_id), or by student."""

    by_hand: Mapping[tuple[str, str], float | None] = NOTHING  # None: must be looked at again
    bonus: Mapping[tuple[str, str], float] = NOTHING
    penalties: Mapping[str, float] = NOTHING


def graded(job: Job, verdict: Verdict) -> GradedRecord:
    """Return the record of a graded job."""
    return {**_job_fields(job), "state": "graded", "verdict": verdict}


def ungraded(
    job: Job, state: Literal["rejected", "missing", "failed"], reason: str
) -> UngradedRecord:
    """Return the record of a job that could not be graded."""
    return {**_job_fields(job), "state": state, "reason": reason}


def _job_fields(job: Job) -> JobRecord:
    return {
        "key": job.key,
        "student": job.student,
        "assignment": job.assignment,
        "notebook": job.notebook,
        "submission": job.submission,
        "received": job.received,
        "time": time.time(),
        "turn": job.turn,
    }


def with_receipt(record: Record, job: Job) -> Record:
    """Return the record with the job's receipt time, which may have become known after grading."""
    updated = record.copy()
    updated["received"] = job.received
    return updated


def cells_of(record: Record) -> list[CellResult]:
    """Return the results of a record's cells; [] if the notebook was not graded."""
    return record["verdict"].get("cells", []) if record["state"] == "graded" else []


def notes_of(record: Record) -> list[Note]:
    """Return the notes on a submission; [] if the notebook was not graded."""
    return record["verdict"].get("notes", []) if record["state"] == "graded" else []


def seconds_of(record: Record) -> dict[str, float]:
    """Return the seconds that each part of the grading took; {} if it was not graded."""
    return record["verdict"].get("seconds", {}) if record["state"] == "graded" else {}


def total_seconds(record: Record) -> float:
    """Return how long a notebook took, from the start of its sandbox to its last check."""
    return seconds_of(record).get("total", 0.0)


def restarts_of(record: Record) -> int:
    """Return how often the notebook was started again in a fresh sandbox."""
    return record["verdict"].get("restarts", 0) if record["state"] == "graded" else 0
