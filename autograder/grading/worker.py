"""A worker process: it holds the checks and a fork server, and grades one job at a time.

Jobs arrive as lines of JSON, and records leave as lines of JSON; see `pools`.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

from autograder import fast_imports  # noqa: F401  first

# isort: split
import nbformat

from autograder.gradebook.records import Record, graded, ungraded
from autograder.grading.pools import UNSAFE
from autograder.sandbox.process import ForkServer
from autograder.sandbox.watch import SandboxDied
from autograder.submissions.job import Job
from autograder.submissions.reading import UnreadableNotebook, read_notebook


class Worker:
    """Grades jobs with one fork server."""

    def __init__(self) -> None:
        self.fork_server = ForkServer(unsafe=bool(os.environ.get(UNSAFE)))

    def grade(self, job: Job, keep: Path) -> Record:
        """Return the ledger's record of a job, and put the executed notebook into `keep`."""
        if job.reason:
            return ungraded(job, "rejected", job.reason)
        if not job.spooled:
            return ungraded(job, "missing", "it was not handed in")
        from autograder.grading.notebook_run import grade_notebook

        try:
            submitted = read_notebook(job.spooled)
        except UnreadableNotebook as unreadable:
            return ungraded(job, "rejected", str(unreadable))
        released = nbformat.read(job.released, as_version=4)
        helpers = {name: Path(copy).read_bytes() for name, copy in job.helpers}
        who = job.assignment, job.student
        found = grade_notebook(released, submitted, who, self.fork_server, helpers)
        if job.remark:
            found.verdict["notes"].append({"kind": "accident", "text": job.remark})
        keep.mkdir(parents=True, exist_ok=True)
        path = keep / f"{job.key}.ipynb"
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(nbformat.writes(found.notebook), encoding="utf-8")
        new.replace(path)
        return graded(job, found.verdict)

    def close(self) -> None:
        self.fork_server.close()


def main() -> None:
    """Grade jobs until the grader closes the pipe."""
    worker = Worker()
    import torch

    import autograder.grading.notebook_run  # noqa: F401  the checks are loaded before any student code runs
    from autograder.checks import require_library_functions

    require_library_functions()

    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # nothing else may write to the pipe of the answers
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        order = json.loads(line)
        job = Job(**order["job"])
        try:
            record = worker.grade(job, Path(order["keep"]))
        except SandboxDied as died:  # not the student's fault: a new fork server may work
            record = ungraded(job, "failed", str(died))
            worker.close()
            worker = Worker()
        except Exception as error:
            record = ungraded(job, "failed", f"{type(error).__name__}: {error}"[:500])
        print(json.dumps(record), file=answers)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the grader has ended
        main()
