"""One process that grades: holds the checks and a warm sandbox parent, takes jobs one by one.

Jobs come in as lines of JSON, and verdicts go out as such; see `runner`.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from autograder import fast_imports  # noqa: F401  first

# isort: split
import nbformat

from autograder.grading.pools import UNSAFE
from autograder.sandbox.process import ForkServer, SandboxDied
from autograder.submissions.job import Job
from autograder.submissions.reading import UnreadableNotebook, read_notebook


class Worker:
    """Grades jobs with one warm parent; a new one is started when it is lost."""

    def __init__(self) -> None:
        self.fork_server = ForkServer(unsafe=bool(os.environ.get(UNSAFE)))

    def grade(self, job: Job, keep: Path) -> dict[str, Any]:
        """The ledger's record of a job; the executed notebook is kept in the folder."""
        if job.reason:
            return job.record("rejected", reason=job.reason)
        if not job.spooled:
            return job.record("missing", reason="it was not handed in")
        from autograder.grading.notebook_run import grade_notebook

        try:
            submitted = read_notebook(job.spooled)
        except UnreadableNotebook as unreadable:
            return job.record("rejected", reason=str(unreadable))
        released = nbformat.read(job.released, as_version=4)
        graded = grade_notebook(
            released, submitted, (job.assignment, job.student), self.fork_server
        )
        keep.mkdir(parents=True, exist_ok=True)
        path = keep / f"{job.key}.ipynb"
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(nbformat.writes(graded.notebook), encoding="utf-8")
        new.replace(path)
        return job.record("graded", verdict=graded.verdict)

    def close(self) -> None:
        self.fork_server.close()


def main() -> None:
    """Serve until the runner hangs up."""
    worker = Worker()
    import torch

    import autograder.grading.notebook_run  # noqa: F401  the checks are loaded before any student code runs
    from autograder.checks import require_library_functions

    require_library_functions()

    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # nothing else writes where the answers go
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        order = json.loads(line)
        job = Job(**order["job"])
        try:
            record = worker.grade(job, Path(order["keep"]))
        except SandboxDied as died:  # not the student's doing: another sandbox may do
            record = job.record("failed", reason=str(died))
            worker.close()
            worker = Worker()
        except Exception as error:
            record = job.record("failed", reason=f"{type(error).__name__}: {error}"[:500])
        print(json.dumps(record | {"time": time.time()}), file=answers)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the grader is gone
        main()
