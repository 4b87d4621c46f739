"""A made-up class of thirty, graded by the real command: is every mark the one that is known?

`make grade-demo` runs it. The class is the same every time; it is in _build/rehearsal.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from autograder.cli import ASSIGNMENT
from autograder.rehearsal.made_up_class import School, Student
from autograder.submissions.cells import role_of

FOLDER = Path("_build/rehearsal")
DUE, RECEIVED = "2026-05-01 12:00:00 UTC", "2026-05-01T15:00:00+00:00"
LATE = '''"""A tenth of the marks for each day begun: written by `make grade-demo`."""

from nbgrader.plugins import BasePlugin


class Tenth(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return 0.1 * score * (1 + total_seconds_late // 86400)


c = get_config()
c.AssignLatePenalties.plugin_class = Tenth
'''


def hand_in(students: list[Student], course: Path) -> None:
    """Write the submissions, and when they were received."""
    rows = ["student,assignment,received"]
    for student in students:
        folder = course / "submitted" / student.name / ASSIGNMENT
        folder.mkdir(parents=True)
        rows += [f"{student.name},{ASSIGNMENT},{RECEIVED}"] if student.late else []
        for name, notebook in student.notebooks.items():
            text = json.dumps(notebook)
            if student.states.get(name) == "rejected":
                text = text[: len(text) // 2]
            if student.states.get(name) != "missing":
                (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
    (course / "receipts.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def gradebook() -> Any:
    """The rehearsal's own, in nbgrader's format."""
    from nbgrader.api import Gradebook

    beside = Path(sys.executable).parent  # nbgrader calls its helper `alembic` by name
    os.environ["PATH"] = f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"
    return Gradebook(f"sqlite:///{FOLDER.resolve() / 'gradebook.db'}", "mnistdiff")


def prepare(course: Path) -> None:
    """A course of its own beside the real one, with a due date."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in ("source", "release"):
        shutil.copytree(course / name, FOLDER / name)
    shutil.copyfile(course / "nbgrader_config.py", FOLDER / "nbgrader_config.py")
    (FOLDER / "nbgrader_local.py").write_text(LATE, encoding="utf-8")
    with gradebook() as book:
        book.add_assignment(ASSIGNMENT, duedate=DUE)


def compare(school: School, students: list[Student]) -> list[tuple[str, str, str]]:
    """Name, what was expected and what was found of each student, from nbgrader's gradebook."""
    from autograder.gradebook import ledger

    found = {(r["student"], r["notebook"]): r for r in ledger.read(FOLDER).values()}
    rows = []
    with gradebook() as book:
        for student in students:
            submission = book.find_submission(ASSIGNMENT, student.name)
            grades = [g for notebook in submission.notebooks for g in notebook.grades]
            marks = {g.name: g.auto_score for g in grades}
            states = {n: found[student.name, n]["state"] for n in school.released}
            penalty = sum(n.late_submission_penalty or 0.0 for n in submission.notebooks)
            expected = _expected(school, student)
            tenth = 0.1 * sum(filter(None, expected[0].values())) if student.late else 0.0
            wanted = _told(*expected, tenth)
            rows.append((student.name, wanted, _told(marks, states, penalty)))
            if expected[0] != marks and wanted == rows[-1][2]:
                rows[-1] = (student.name, wanted, f"other cells: {marks}")
    return rows


def _expected(school: School, student: Student) -> tuple[dict, dict]:
    """Marks by cell and states by notebook."""
    most = {n: None if n in school.by_hand else points for n, points in school.most.items()}
    marks = most | student.points
    for notebook, state in student.states.items():
        roles = [role_of(c) for c in school.released[notebook].cells]
        nothing = 0.0 if state == "missing" else None
        marks |= {r["grade_id"]: nothing for r in roles if r.get("grade")}
    return marks, {name: student.states.get(name, "graded") for name in school.released}


def _told(marks: dict[str, float | None], states: dict[str, str], penalty: float) -> str:
    told = f"{sum(filter(None, marks.values())):g}"
    told += f" - {penalty:g} late" if penalty else ""
    told += "".join(f", {name[:2]} {state}" for name, state in states.items() if state != "graded")
    unknown = sum(mark is None for mark in marks.values())
    return told + (f", {unknown} for a person" if unknown else "")


def main() -> int:
    """Make the class, grade it, compare; 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--course", type=Path, default=Path("course"))
    parser.add_argument("--answers", type=Path, default=Path("tests/answers"))
    parser.add_argument("--workers", default=str(os.cpu_count()))
    options = parser.parse_args()
    school = School(options.course, options.answers)
    students = list(school.students())
    prepare(options.course)
    hand_in(students, FOLDER)
    command = [sys.executable, "-m", "autograder.cli"]
    started = time.monotonic()
    grade = [*command, "grade", "--course", FOLDER, "--workers", options.workers]
    if status := subprocess.run(grade).returncode:
        return status
    print(f"graded {len(students)} students in {time.monotonic() - started:.0f} s")
    rows = compare(school, students)
    for name, expected, found in rows:
        print(f"{' ' if found == expected else '!'} {name:12} {expected:38} {found}")
    wrong = sum(found != expected for _, expected, found in rows)
    print(f"{len(rows) - wrong} of {len(rows)} as expected")
    page = [*command, "report", "--course", FOLDER, "-o", FOLDER / "report.html"]
    return subprocess.run(page).returncode or int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
