"""Tests that stock nbgrader, used as by an instructor, gives every answer its marks."""

import csv
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import build_notebooks
import nbformat
import notebook_guard as guard
import pytest
from nbformat import NotebookNode

from autograder.checks import find

ROOT = Path(__file__).parents[2]

# test_fixtures.py runs every answer; here, a part shows that nbgrader passes on marks and hints.
EVERY = 1 if "MNISTDIFF_SOAK" in os.environ else 7  # a right and a wrong one of each exercise
FIXTURES = sorted((ROOT / "tests" / "answers").glob("*/*.py"))[::EVERY]
BLANK = (
    "03_ddpm_ddim.ipynb",
    "07_comfyui.ipynb",
)  # of the notebooks, of which stock runs each cell
NOISE = """### BEGIN SOLUTION
import os, sys, warnings
warnings.warn("a student's warning")
print("a student's words", file=sys.stderr)
os.write(2, b"as C++ code writes")
"""
GRAPH = "import itertools\nfrom copy import deepcopy\nfrom mnistdiff.comfyui.graph import Graph\n"
NEEDS = {  # the imports that an answer takes from its notebook
    "edit_sampler": GRAPH,
    "insert_lora": GRAPH,
    "latent_loss": "from mnistdiff.schedules import add_noise\n",
    "eps_mlp_cond": "from torch import nn\nfrom mnistdiff.latent import EpsMLP, EpsMLPCondConfig\n",
}


def nbgrader(course: Path, *arguments: str) -> str:
    """Run the stock command in the course and return its output; fail if its exit code is not 0."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    environment = os.environ | {"MNISTDIFF_CACHE": str(course / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def submit(
    course: Path, student: str, answers: dict[str, str], names: Sequence[str] = ("*.ipynb",)
) -> None:
    """Submit released notebooks with these answers, by the id of the cell."""
    folder = course / "submitted" / student / "project3"
    folder.mkdir(parents=True)
    release = course / "release" / "project3"
    for path in sorted(path for name in names for path in release.glob(name)):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            cell.source = answers.get(cell.id, cell.source)
        nbformat.write(notebook, folder / path.name)


def marks(course: Path, student: str) -> dict[str, tuple[float | None, float]]:
    """Return mark and maximum of each graded cell from nbgrader's gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        notebooks = gradebook.find_submission("project3", student).notebooks
        grades = [grade for notebook in notebooks for grade in notebook.grades]
        return {grade.name: (grade.auto_score, grade.max_score) for grade in grades}


def solution_cells() -> dict[str, NotebookNode]:
    """Return every answer cell of the course with its solution, by its id."""
    sources = build_notebooks.read_sources(ROOT).values()
    cells = [cell for source in sources for cell in source.cells]
    return {cell.id: cell for cell in cells if guard.grading(cell).get("solution")}


def cases() -> Iterator[tuple[str, str, str, float, str]]:
    """Yield (case, cell, answer, points, hint) for the fixtures and for noisy solutions."""
    for path in FIXTURES:
        header, _, answer = path.read_text().partition("\n")
        points, _, hint = header.removeprefix("# points:").partition("| hint:")
        yield f"{path.parent.name}-{path.stem}", path.parent.name, answer, float(points), hint
    points_of = {}
    for source in build_notebooks.read_sources(ROOT).values():
        points_of |= guard.points_of(source)
    for name, cell in solution_cells().items():
        if cell.cell_type == "code":
            noisy = re.sub(r"^( *)### BEGIN SOLUTION\n", indented_noise, cell.source, flags=re.M)
            yield f"{name}-noisy", name, NEEDS.get(name, "") + noisy, points_of[name], ""


def indented_noise(match: re.Match) -> str:
    return textwrap.indent(NOISE, match[1])


CASES = {case[0]: case[1:] for case in cases()}


def answers_notebook() -> NotebookNode:
    """Return a notebook with one answer cell per case, so that one kernel serves all cases."""
    cell, source = (
        nbformat.v4.new_code_cell,
        "import math\nimport torch\nimport torch.nn.functional as F\n",
    )
    notebook = nbformat.v4.new_notebook(metadata=build_notebooks.METADATA)
    notebook.cells = [cell(source + "from torch import Tensor", id="setup")]
    role = {"grade": False, "locked": False, "schema_version": 3, "solution": True, "task": False}
    test = role | {"grade": True, "locked": True, "solution": False}
    for case, (name, _, _, _) in CASES.items():
        answer = {"nbgrader": role | {"grade_id": case}}
        notebook.cells.append(
            cell("### BEGIN SOLUTION\n### END SOLUTION", metadata=answer, id=case)
        )
        hidden = f'from autograder import check\n\ncheck("{name}", globals())'
        hidden = f"### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
        graded = test | {"grade_id": f"test_{case}", "points": find(name).points}
        graded_cell = cell(hidden, metadata={"nbgrader": graded}, id=f"test_{case}")
        notebook.cells.append(graded_cell)
    return notebook


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """Return a course in which one student solves `project3` and another leaves it blank."""
    course = tmp_path_factory.mktemp("course")
    build_notebooks.write_course(build_notebooks.read_sources(ROOT), course)
    nbgrader(course, "generate_assignment", "project3")
    submit(course, "blank", {}, BLANK)
    solved = {name: cell.source for name, cell in solution_cells().items()}
    submit(course, "solver", solved)
    nbgrader(course, "autograde", "project3")
    return course


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> tuple[dict, dict]:
    """Return the marks of all cases in one submission, and the output that each one shows."""
    course = tmp_path_factory.mktemp("answers")
    build_notebooks.write_course({}, course)
    nbformat.write(answers_notebook(), course / "source" / "project3" / "answers.ipynb")
    nbgrader(course, "generate_assignment", "project3")
    names = sorted({name for name, *_ in CASES.values()})
    forget = f"for name in {names}:\n    globals().pop(name, None)\n"  # earlier cases
    submit(course, "all", {case: forget + text for case, (_, text, *_) in CASES.items()})
    nbgrader(course, "autograde", "project3")
    shown = {}
    graded = course / "autograded" / "all" / "project3" / "answers.ipynb"
    for cell in nbformat.read(graded, as_version=4).cells:
        shown[cell.id] = "".join(out.get("text", "") for out in cell.get("outputs", []))
    return marks(course, "all"), shown


def test_stock_nbgrader_releases_the_committed_notebooks(course):
    release = sorted((course / "release" / "project3").iterdir())
    committed = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [path.name for path in release] == [path.name for path in committed]
    for ours, theirs in zip(release, committed, strict=True):
        assert ours.read_bytes() == theirs.read_bytes()


def test_the_solution_gets_full_marks_in_every_automatically_graded_cell(course):
    found = marks(course, "solver")
    by_program = {name: mark for name, mark in found.items() if name.startswith("test_")}
    assert by_program
    assert all(mark == full for mark, full in by_program.values()), by_program
    by_hand = found.keys() - by_program.keys()
    assert by_hand
    assert all(found[name][0] is None for name in by_hand), "a person grades these"


def test_a_blank_notebook_gets_nothing(course):
    found = marks(course, "blank")
    assert found.keys() == marks(course, "solver").keys()
    assert {mark for mark, _ in found.values()} == {0.0}, found


@pytest.mark.parametrize("case", CASES)
def test_an_answer_gets_its_marks_and_its_hint(answers, case):
    _, _, points, hint = CASES[case]
    found, shown = answers
    assert found[f"test_{case}"][0] == points, shown[f"test_{case}"]
    assert hint.strip() in shown[f"test_{case}"]


def test_feedback_shows_the_hints_and_the_export_holds_the_marks(course):
    nbgrader(course, "generate_feedback", "project3")
    pages = sorted((course / "feedback" / "blank" / "project3").glob("*.html"))
    assert [page.stem for page in pages] == [Path(name).stem for name in BLANK]
    assert all("not written yet" in page.read_text() for page in pages)
    nbgrader(course, "export")
    with (course / "grades.csv").open() as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    full = sum(full for mark, full in marks(course, "solver").values() if mark)
    assert scores == {"blank": 0.0, "solver": full}


def test_validate_tells_a_student_what_is_missing(course):
    output = nbgrader(course, "validate", f"submitted/blank/project3/{BLANK[-1]}")
    assert "VALIDATION FAILED" in output
    assert "fill in this cell" in output
