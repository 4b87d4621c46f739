"""What `autograder status` says beside the counts: who and what needs a person."""

import textwrap
from collections.abc import Iterable
from pathlib import Path

from autograder.gradebook import differences, ledger
from autograder.gradebook.records import Record
from autograder.submissions.job import Job
from autograder.text import shown

Current = Iterable[tuple[Job, Record | None]]
WIDTH = 100  # characters of a line


def why_waiting(course: Path, current: Current) -> list[str]:
    """Return a line if submissions wait that were graded before, in an earlier version."""
    done = {
        (r["assignment"], r["student"], r["notebook"], r["submission"])
        for r in ledger.read(course).values()
        if r["state"] != "failed"
    }
    waiting = [job for job, record in current if record is None]
    again = [j for j in waiting if (j.assignment, j.student, j.notebook, j.submission) in done]
    if not again:
        return []
    return [
        f"{len(again)} of those waiting were graded before. The grader, the release or a file "
        "beside the notebook has changed since: `autograder grade` grades them again."
    ]


def not_handed_in(current: Current) -> list[str]:
    """Return a paragraph for each notebook that some students did not hand in."""
    missing: dict[str, list[str]] = {}
    for job, record in current:
        if record and record["state"] == "missing":
            missing.setdefault(job.notebook, []).append(shown(job.student))
    return [
        _wrap(f"{notebook}: not handed in by {', '.join(who)}")
        for notebook, who in sorted(missing.items())
    ]


def without_submission(course: Path, assignment: str, current: Current) -> list[str]:
    """Return a line for each student whose marks are in the gradebook without a submission."""
    url = differences.database(course, differences.settings(course))
    here = {job.student for job, _ in current}
    return [
        f"{shown(student)}: the gradebook holds marks, but submitted/{shown(student)}/{assignment} "
        "is gone"
        for student in differences.rows(url, assignment)
        if student not in here
    ]


def _wrap(text: str) -> str:
    return textwrap.fill(
        text, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
