"""`autograder grade`: a run over the class, then the gradebook."""

import argparse
import os
import signal
import sys
import threading
import time
import unicodedata
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

from autograder.errors import STOPPED, AutograderError
from autograder.gradebook import commit, ledger
from autograder.grading.pools import UNSAFE, DaskPool, LocalPool, shard
from autograder.sandbox.bubblewrap import require_bubblewrap
from autograder.submissions.intake import passed_over


def grade(options: argparse.Namespace) -> int:
    """Grade what is to be graded, then enter the marks; the exit status."""
    if options.unsafe:
        os.environ[UNSAFE] = "yes"
    else:
        require_bubblewrap()
    options.course = options.course.resolve()  # a cluster's workers stand elsewhere
    only = {unicodedata.normalize("NFC", student) for student in options.students} or None
    if options.shard:
        shard([], options.shard)  # what is no shard shall not leave a ledger
    name = f"shard-{options.shard.replace('/', '-of-')}" if options.shard else "main"
    keep = options.course / ".autograder" / "notebooks"
    stop = threading.Event()
    # It takes seconds, and is needed for the gradebook.
    ahead = threading.Thread(target=import_module, args=["nbgrader.api"], daemon=True)
    with ledger.Ledger(ledger.folder(options.course) / f"{name}.jsonl") as book:
        current = ledger.current(options.course, options.assignment, only)
        _check_students(only, current, options)
        todo = [job for job, record in current if options.again or _is_open(record)]
        if options.shard:
            todo = shard(todo, options.shard)
        elif todo:
            ahead.start()
        pool = DaskPool(options.scheduler) if options.scheduler else LocalPool(options.workers)
        _stop_on_signals(stop)
        counts = _grade(pool, todo, keep, book, stop)
    if stop.is_set():
        print("stopped: run the same command again to go on", file=sys.stderr)
    if not options.shard:
        if todo:
            ahead.join()  # two threads that import nbgrader at once get half of it each
        _commit(options)
    for line in passed_over(options.course, options.assignment):
        print(line, file=sys.stderr)
    return STOPPED if stop.is_set() else 1 if counts["failed"] else 0


def _is_open(record: dict[str, Any] | None) -> bool:
    return record is None or record["state"] == "failed"


def _check_students(only: set[str] | None, current: list, options: argparse.Namespace) -> None:
    known = {job.student for job, _ in current}
    if unknown := sorted((only or set()) - known):
        raise AutograderError(
            f"nothing was handed in by {', '.join(unknown)} for {options.assignment} "
            f"in {options.course / 'submitted'}."
        )


def _stop_on_signals(stop: threading.Event) -> None:
    """The first Ctrl-C lets what is in work finish, the second one ends it."""

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        print("\nfinishing what is in work; once more to end at once", file=sys.stderr)
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def _grade(pool: Any, todo: list, keep: Path, book: Any, stop: threading.Event) -> Counter:
    counts: Counter = Counter()
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


def line_of(record: dict[str, Any]) -> str:
    """A record in one line."""
    who = f"{record['student']} {record['notebook']}"
    if record["state"] != "graded":
        return f"{who}: {record['state']}: {record['reason']}"
    cells = record["verdict"]["cells"]
    points = sum(cell["points"] or 0.0 for cell in cells)
    most = sum(cell["max"] for cell in cells if cell["points"] is not None)
    by_hand = sum(cell["points"] is None for cell in cells)
    more = f" + {by_hand} by hand" if by_hand else ""
    noted = " !" if any(n["kind"] == "tampering" for n in record["verdict"]["notes"]) else ""
    return f"{who}: {points:g} of {most:g}{more}{noted}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _commit(options: argparse.Namespace) -> None:
    """Bring the gradebook to what the ledger says."""
    ready = commit.submissions(ledger.current(options.course, options.assignment))
    new = commit.enter(options.course, options.assignment, ready)
    print(f"gradebook: {len(new)} submissions entered, {len(ready)} in all", file=sys.stderr)
