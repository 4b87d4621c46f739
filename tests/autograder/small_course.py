"""A whole course in small: two short notebooks, two students, graded by the real command."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import nbformat
from submissions import ASSIGNMENT, ROOT, build_notebooks, solutions

NOTEBOOKS = ("02_latent_dim", "04_latent_diffusion")
COMMAND = [sys.executable, "-m", "autograder.cli"]


def make(course: Path, names: tuple[str, ...] = NOTEBOOKS) -> Path:
    """A course cut down to a few notebooks, with what students were given."""
    sources = build_notebooks.read_sources(ROOT)
    build_notebooks.write_course({name: sources[name] for name in names}, course)
    (course / "release" / ASSIGNMENT).mkdir(parents=True)
    for name in names:
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", course / "release" / ASSIGNMENT)
    return course


def hand_in(course: Path, student: str, **answers: str) -> None:
    """A student's notebooks: right, but for the answers that are given here."""
    folder = course / "submitted" / student / ASSIGNMENT
    folder.mkdir(parents=True, exist_ok=True)
    answers = solutions() | answers
    for path in sorted((course / "release" / ASSIGNMENT).glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            cell.source = answers.get(cell.id, cell.source)
        nbformat.write(notebook, folder / path.name)


def fixture(name: str) -> str:
    """A known answer of tests/answers, as "cell/name"."""
    return (ROOT / "tests" / "answers" / f"{name}.py").read_text().partition("\n")[2]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def start(course: Path, *arguments: str, **more: object) -> subprocess.Popen:
    """`autograder grade` in the background."""
    line = [*COMMAND, "grade", "--course", str(course), *(arguments or ("--workers", "1"))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(line, cwd=ROOT, env=environment(), **(pipes | more))


def grade(course: Path, *arguments: str, status: int = 0) -> str:
    """`autograder grade`; what it said."""
    process = start(course, *arguments)
    out, said = process.communicate(timeout=600)
    assert process.returncode == status, out + said
    return said


def gradebook(course: Path) -> list[tuple]:
    """All that nbgrader's gradebook says of marks, by student, notebook and cell."""
    sql = """
        SELECT sa.student_id, n.name, c.name, g.auto_score, g.manual_score, g.needs_manual_grade,
               sn.late_submission_penalty, sa.timestamp
        FROM grade g JOIN base_cell c ON c.id = g.cell_id
        JOIN submitted_notebook sn ON sn.id = g.notebook_id
        JOIN notebook n ON n.id = sn.notebook_id
        JOIN submitted_assignment sa ON sa.id = sn.assignment_id
        ORDER BY sa.student_id, n.name, c.name"""
    return query(course, sql)


def query(course: Path, sql: str, *values: object) -> list[tuple]:
    """Ask, or change, the gradebook's database."""
    with closing(sqlite3.connect(course / "gradebook.db")) as connection, connection:
        return connection.execute(sql, values).fetchall()


def marks(course: Path) -> dict[tuple[str, str], float | None]:
    """Automatic scores by student and cell."""
    return {(row[0], row[2]): row[3] for row in gradebook(course)}


def copies(course: Path) -> dict[str, str]:
    """The executed notebooks as they lie beside the marks, without times and the like."""
    found = {}
    for path in sorted((course / "autograded").glob("*/*/*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        shown = [(c.source, [o.get("text", "") for o in c.get("outputs", [])]) for c in cells]
        found[str(path.relative_to(course))] = str(shown)
    return found
