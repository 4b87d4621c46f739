"""Grading speed: our autograder with its sandbox, compared with stock `nbgrader autograde`.

The class is made up: harmless submissions of the full assignment, half without mistakes, half with
one in every notebook. Ours grades the whole class, with two workers and with one, including
start-up and gradebook. Stock grades the first few students, serially and in several processes.
Each process has its own course, which favours stock, since none waits for another's database. All
marks must agree.

The floor is the cells' own compute: the same cells and checks in a process that has imported torch,
with a fork per notebook, without sandbox and Jupyter.

    python benchmarks/grading.py [--students 30] [--stock 4] [--workers 2]
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat
import psutil

from autograder.cli import ASSIGNMENT
from autograder.rehearsal.made_up_class import School, Student
from autograder.submissions.cells import is_test, role_of
from autograder.submissions.rebuild import rebuild

ROOT = Path(__file__).parents[1]
MARKS = """
    SELECT s.student_id, c.name, g.auto_score FROM grade g
    JOIN base_cell c ON c.id = g.cell_id JOIN submitted_notebook n ON n.id = g.notebook_id
    JOIN submitted_assignment s ON s.id = n.assignment_id"""


def make_class(school: School, number: int) -> list[Student]:
    """Return students without mistakes and with mistakes, in turn."""
    students = []
    for n in range(number):
        name = f"student-{n:03d}"
        students.append(school.partial(name, random.Random(n)) if n % 2 else school.solved(name))
    return students


def make_course(folder: Path, students: list[Student]) -> Path:
    """Make a course with these submissions, whose cells are already in nbgrader's database."""
    course = ROOT / "course"
    for name in ("source", "release"):
        shutil.copytree(course / name, folder / name)
    shutil.copyfile(course / "nbgrader_config.py", folder / "nbgrader_config.py")
    for student in students:
        target = folder / "submitted" / student.name / ASSIGNMENT
        target.mkdir(parents=True)
        for name, notebook in student.notebooks.items():
            nbformat.write(notebook, target / f"{name}.ipynb")
    nbgrader(folder, "generate_assignment", "--force").wait()
    return folder


def nbgrader(course: Path, *words: str) -> subprocess.Popen:
    """Start stock nbgrader in the background."""
    line = [sys.executable, "-m", "nbgrader", words[0], ASSIGNMENT, *words[1:]]
    with (course / "nbgrader.log").open("ab") as log:
        return subprocess.Popen(line, cwd=course, stdout=log, stderr=log)


def marks(course: Path) -> dict[tuple[str, str], float | None]:
    """Return automatic scores by student and cell."""
    with closing(sqlite3.connect(course / "gradebook.db")) as book:
        return {(student, cell): score for student, cell, score in book.execute(MARKS)}


class Memory:
    """The peak memory of all child processes together; shared pages count once."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._done.wait(2):
            held = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    held += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, held)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def timed(processes: list[Any], submissions: int) -> dict[str, float]:
    """Start processes and wait for all; return seconds per submission and peak memory."""
    started = time.monotonic()
    with Memory() as memory:
        statuses = [process.wait() for process in [start() for start in processes]]
    if any(statuses):
        raise SystemExit(f"the graders' exit codes are {statuses}; all must be 0")
    seconds = time.monotonic() - started
    return {
        "seconds": seconds,
        "seconds_per_submission": seconds / submissions,
        "memory_gib": memory.peak / 2**30,
    }


def ours(course: Path, workers: int) -> Any:
    line = [sys.executable, "-m", "autograder.cli", "grade", "--course", str(course)]
    return lambda: subprocess.Popen(
        [*line, "--workers", str(workers)], cwd=ROOT, stderr=subprocess.DEVNULL
    )


def floor(school: School, students: list[Student]) -> float:
    """Return seconds per submission of the cells and checks alone, in one fork per notebook."""
    import torch

    from autograder.checks import find
    from autograder.grading.cell_selection import cells_to_run
    from autograder.inside.agent import prepare
    from autograder.inside.student import InKernel

    torch.set_num_threads(1)
    os.environ["MNISTDIFF_PROFILE"] = "smoke"
    prepare()
    total = 0.0
    for student in students:
        for name, notebook in student.notebooks.items():
            rebuilt = rebuild(school.released[name], notebook)
            cells = rebuilt.notebook.cells
            places = sorted(cells_to_run(cells, rebuilt.own))
            sources = [c.source.replace("%matplotlib inline", "") for c in cells]
            started = time.perf_counter()
            pid = os.fork()
            if pid == 0:
                discard_output()
                namespace: dict[str, Any] = {"__name__": "__main__", "display": print}
                for place in places:
                    if is_test(cells[place]):
                        answer = role_of(cells[place])["grade_id"].removeprefix("test_")
                        find(answer)().run(InKernel(namespace), 0)
                    else:
                        try:
                            exec(sources[place], namespace)
                        except Exception:
                            continue
                os._exit(0)
            os.waitpid(pid, 0)
            total += time.perf_counter() - started
    return total / len(students)


def discard_output() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument(
        "--stock", type=int, default=4, help="number of students that stock grades (even)"
    )
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # for all sides
    school = School(ROOT / "course", ROOT / "tests" / "answers")
    students = make_class(school, options.students)
    few = students[: options.stock]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        several = make_course(folder / "several", students)
        one = make_course(folder / "one", students)
        stock = make_course(folder / "stock", few)
        parts = [few[n :: options.workers] for n in range(options.workers)]
        split = [make_course(folder / f"stock-{n}", part) for n, part in enumerate(parts)]
        found = {
            "ours": timed([ours(several, options.workers)], len(students)),
            "stock": timed([lambda: nbgrader(stock, "autograde")], len(few)),
            "ours_one_worker": timed([ours(one, 1)], len(students)),
            "stock_in_parallel": timed(
                [lambda course=course: nbgrader(course, "autograde") for course in split], len(few)
            ),
        }
        reference = marks(several)
        disagree = [
            (course.name, key, mark, reference[key])
            for course in (one, stock, *split)
            for key, mark in marks(course).items()
            if reference[key] != mark
        ]
    per = {name: each["seconds_per_submission"] for name, each in found.items()}
    least = floor(school, few)
    notebooks = len(school.released)
    result = {
        "students": len(students),
        "students_of_stock": len(few),
        "notebooks_each": notebooks,
        "workers": options.workers,
        **found,
        "floor_seconds_per_submission": least,
        "overhead_seconds_per_notebook": (per["ours_one_worker"] - least) / notebooks,
        "times_faster_than_stock": per["stock"] / per["ours"],
        "times_faster_than_stock_in_parallel": per["stock_in_parallel"] / per["ours"],
        "times_faster_with_one_worker": per["stock"] / per["ours_one_worker"],
        "marks_that_disagree": disagree,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
