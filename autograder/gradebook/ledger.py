"""The ledger: one line per result, only ever appended, and on the disk before it counts.

A course's ledger is all files in its folder: `main.jsonl`, and one for each shard. To merge the
results of several machines, copy their files there. A line that a crash cut short is ignored.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.gradebook.records import Record
from autograder.submissions.intake import jobs
from autograder.submissions.job import Job

STATES = ("graded", "rejected", "missing", "failed")


class Ledger:
    """One file of the ledger, open for one writer.

    Raises AutograderError if another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise AutograderError(
                f"another grader is writing {path}. Wait for it, or give each its own --shard."
            ) from None
        self._end_torn_line()

    def _end_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def append(self, record: Record) -> None:
        """Add a record; it is on the disk when this returns.

        Raises AutograderError if the disk is full. No part of a failed line stays in the file.
        """
        line = json.dumps(record, sort_keys=True, allow_nan=False).encode() + b"\n"
        size = os.fstat(self._file).st_size
        try:
            done = os.write(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            self._cut(size)
            raise AutograderError(self._full(error.strerror)) from None
        if done != len(line):
            self._cut(size)
            raise AutograderError(self._full("the disk is full"))

    def _full(self, why: str | None) -> str:
        return (
            f"{self.path} cannot be written ({why}). Free space, then run the same command again."
        )

    def _cut(self, size: int) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, size)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def folder(course: Path) -> Path:
    """Return the folder of a course's ledger."""
    return course / ".autograder" / "ledger"


def _records_in(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for line in file:
            with contextlib.suppress(ValueError, RecursionError):
                if _is_record(record := json.loads(line)):
                    yield record


def _is_record(found: Any) -> bool:
    if not isinstance(found, dict) or found.get("state") not in STATES:
        return False
    if found["state"] == "graded" and not isinstance(found.get("verdict"), dict):
        return False
    if not isinstance(found.get("turn", 0), int):
        return False
    return isinstance(found.get("key"), str) and isinstance(found.get("time"), int | float)


def read(course: Path) -> dict[str, Record]:
    """Return the last record of every job by its key; a failure never hides another result.

    In one file the later line counts, whatever the clock said. Between files the higher turn
    counts, and the time only if the turns are equal.
    """
    found: dict[str, Record] = {}
    for path in sorted(folder(course).glob("*.jsonl")):
        for key, record in _last(_records_in(path)).items():
            if key not in found or _rank(record) >= _rank(found[key]):
                found[key] = record
    return found


def _last(records: Iterable[Record]) -> dict[str, Record]:
    """Return the last record of each job in one file."""
    found: dict[str, Record] = {}
    for record in records:
        before = found.get(record["key"])
        if before is None or before["state"] == "failed" or record["state"] != "failed":
            found[record["key"]] = record
    return found


def _rank(record: Record) -> tuple[bool, int, float]:
    return record["state"] != "failed", record.get("turn", 0), record["time"]


def next_turn(record: Record | None) -> int:
    """Return the turn of the result that follows this one."""
    return 0 if record is None else record.get("turn", 0) + 1


def current(
    course: Path, assignment: str, only: set[str] | None = None
) -> list[tuple[Job, Record | None]]:
    """Read what is handed in now: every job with its record; None means not graded yet."""
    return records_of(course, jobs(course, assignment, only))


def records_of(course: Path, jobs: Iterable[Job]) -> list[tuple[Job, Record | None]]:
    """Return each job with its record; None means not graded yet."""
    records = read(course)
    return [(job, records.get(job.key)) for job in jobs]
