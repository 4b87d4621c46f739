"""Grade a made-up class of thirty with the real command, and compare every mark with the known one.

`make grade-demo` runs this. The class is the same every time; it is written to _build/rehearsal.
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
LATE = '''"""Take off a tenth of the marks for each day begun: written by `make grade-demo`."""

from nbgrader.plugins import BasePlugin


class Tenth(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return 0.1 * score * (1 + total_seconds_late // 86400)


c = get_config()
c.AssignLatePenalties.plugin_class = Tenth
'''


def hand_in(students: list[Student], course: Path) -> None:
    """Write the submissions and their receipt times."""
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
    """Open the rehearsal's own nbgrader gradebook."""
    from nbgrader.api import Gradebook

    programs = Path(sys.executable).parent  # nbgrader calls its helper `alembic` by name
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
    return Gradebook(f"sqlite:///{FOLDER.resolve() / 'gradebook.db'}", "mnistdiff")


def prepare(course: Path) -> None:
    """Make a copy of the course for the rehearsal, with a due date."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in ("source", "release"):
        shutil.copytree(course / name, FOLDER / name)
    shutil.copyfile(course / "nbgrader_config.py", FOLDER / "nbgrader_config.py")
    (FOLDER / "nbgrader_local.py").write_text(LATE, encoding="utf-8")
    with gradebook() as book:
        book.add_assignment(ASSIGNMENT, duedate=DUE)


def compare(school: School, students: list[Student]) -> list[tuple[str, str, str]]:
    """Return name, expected and found result of each student, read from nbgrader's gradebook."""
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
            wanted, result = _described(*expected, tenth), _described(marks, states, penalty)
            if expected[0] != marks and wanted == result:
                result = f"other cells: {marks}"
            rows.append((student.name, wanted, result))
    return rows


def _expected(school: School, student: Student) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the expected marks by cell, and states by notebook."""
    marks: dict[str, float | None] = {**school.most, **dict.fromkeys(school.by_hand)}
    marks |= student.points
    for notebook, state in student.states.items():
        roles = [role_of(c) for c in school.released[notebook].cells]
        nothing = 0.0 if state == "missing" else None
        marks |= {r["grade_id"]: nothing for r in roles if r.get("grade")}
    return marks, {name: student.states.get(name, "graded") for name in school.released}


def _described(marks: dict[str, float | None], states: dict[str, str], penalty: float) -> str:
    """Return a result in one line: the points, the penalty, and what has no plain mark."""
    text = f"{sum(filter(None, marks.values())):g}"
    text += f" - {penalty:g} late" if penalty else ""
    text += "".join(f", {name[:2]} {state}" for name, state in states.items() if state != "graded")
    unknown = sum(mark is None for mark in marks.values())
    return text + (f", {unknown} to mark by hand" if unknown else "")


def main() -> int:
    """Make the class, grade it and compare; return 1 if anything differs."""
    text = "Grade a made-up class of thirty, and compare every mark with the known one."
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--course", type=Path, default=Path("course"), help="the course's folder")
    text = "the folder of known right and wrong answers"
    parser.add_argument("--answers", type=Path, default=Path("tests/answers"), help=text)
    parser.add_argument("--workers", default=str(os.cpu_count()), help="number of processes")
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
