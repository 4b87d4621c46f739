"""`autograder grade`: grade the class, then enter the marks in the gradebook."""

import argparse
import os
import signal
import sys
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from autograder.errors import STOPPED, AutograderError
from autograder.gradebook import commit, ledger
from autograder.gradebook.records import Record
from autograder.grading.pools import UNSAFE, DaskPool, LocalPool, Pool, shard
from autograder.sandbox.bubblewrap import require_bubblewrap
from autograder.submissions.intake import jobs, remarks
from autograder.submissions.job import Job
from autograder.submissions.release import require_importable
from autograder.text import drop_controls, shown


def grade(options: argparse.Namespace) -> int:
    """Grade the open jobs, enter the marks, and return the exit status."""
    if options.unsafe:
        os.environ[UNSAFE] = "yes"
    else:
        require_bubblewrap()
    options.course = options.course.resolve()  # a cluster's workers run in other folders
    if options.shard:
        shard([], options.shard)  # refuses a malformed shard before its ledger file is made
    require_importable(options.course, options.assignment)
    keep = options.course / ".autograder" / "notebooks"
    stop = threading.Event()
    # nbgrader takes seconds to import: do it while the workers grade.
    ahead = threading.Thread(target=import_module, args=["nbgrader.api"], daemon=True)
    with ledger.Ledger(_ledger_path(options)) as book:
        # The class is read once. If a student hands in another file during the run, the one that
        # was read is graded and entered; the next run grades the other.
        everyone = list(jobs(options.course, options.assignment))
        todo = _jobs_to_grade(everyone, options)
        if todo and not options.shard:
            ahead.start()
        pool = DaskPool(options.scheduler) if options.scheduler else LocalPool(options.workers)
        _stop_on_signals(stop)
        counts = _grade(pool, todo, keep, book, stop)
    if stop.is_set():
        print("stopped: run the same command again to continue", file=sys.stderr)
    if not options.shard:
        if todo:
            ahead.join()  # two threads that import nbgrader at once each get half of it
        _enter_marks(everyone, options)
    for line in remarks(options.course, options.assignment):
        print(line, file=sys.stderr)
    return STOPPED if stop.is_set() else 1 if counts["failed"] else 0


def _ledger_path(options: argparse.Namespace) -> Path:
    name = f"shard-{options.shard.replace('/', '-of-')}" if options.shard else "main"
    return ledger.folder(options.course) / f"{name}.jsonl"


def _jobs_to_grade(everyone: list[Job], options: argparse.Namespace) -> list[Job]:
    """Return the jobs of the chosen students and shard that are open, or all to be done again."""
    chosen = {unicodedata.normalize("NFC", student) for student in options.students}
    if unknown := sorted(chosen - {job.student for job in everyone}):
        raise AutograderError(
            f"{', '.join(unknown)}: no submission for {options.assignment} "
            f"in {options.course / 'submitted'}. Check the spelling of the name."
        )
    only = set(options.notebook) if options.again else set()
    if unknown := sorted(only - {job.notebook for job in everyone}):
        raise AutograderError(
            f"{', '.join(unknown)}: no such notebook in the release of {options.assignment}."
        )
    todo = [
        replace(job, turn=ledger.next_turn(record))
        for job, record in ledger.records_of(options.course, everyone)
        if (not chosen or job.student in chosen)
        and (not only or job.notebook in only)
        and (options.again or _is_open(record))
    ]
    return shard(todo, options.shard) if options.shard else todo


def _is_open(record: Record | None) -> bool:
    return record is None or record["state"] == "failed"


def _stop_on_signals(stop: threading.Event) -> None:
    """Let the first Ctrl-C finish the running notebooks, and the second one stop at once."""

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        print("\nfinishing running notebooks; press Ctrl-C again to stop now", file=sys.stderr)
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def _grade(
    pool: Pool, todo: list[Job], keep: Path, book: ledger.Ledger, stop: threading.Event
) -> Counter[str]:
    """Grade the jobs, append their records to the ledger, and return how many are in each state."""
    counts: Counter[str] = Counter()
    started = time.monotonic()
    for number, record in enumerate(pool.run(todo, keep, stop), start=1):
        book.append(record)
        counts[record["state"]] += 1
        left = (time.monotonic() - started) / number * (len(todo) - number)
        print(f"[{number}/{len(todo)}] {line_of(record)}  ({_span(left)} left)", file=sys.stderr)
    if todo:
        spent = time.monotonic() - started
        done = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        print(f"{done or 'nothing'} in {_span(spent)}", file=sys.stderr)
    return counts


def line_of(record: Record) -> str:
    """Return a record as one line: who, which notebook, and the points or the reason."""
    who = f"{shown(record['student'])} {record['notebook']}"
    if record["state"] != "graded":
        return drop_controls(f"{who}: {record['state']}: {record['reason']}")
    cells = record["verdict"]["cells"]
    points = sum(cell["points"] or 0.0 for cell in cells)
    most = sum(cell["max"] for cell in cells if cell["points"] is not None)
    by_hand = sum(cell["points"] is None for cell in cells)
    more = f" + {by_hand} by hand" if by_hand else ""
    tampered = any(note["kind"] == "tampering" for note in record["verdict"]["notes"])
    return f"{who}: {points:g} of {most:g}{more}{' (tampering noted)' if tampered else ''}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _enter_marks(everyone: Iterable[Job], options: argparse.Namespace) -> None:
    """Bring the gradebook up to date with the ledger."""
    ready = commit.submissions(ledger.records_of(options.course, everyone))
    new = commit.enter(options.course, options.assignment, ready)
    print(f"gradebook: {len(new)} of {len(ready)} submissions entered or updated", file=sys.stderr)
