"""Submissions for the tests of the grader: a small assignment, its answers, and one grading run."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import build_notebooks
import nbformat
import notebook_guard as guard
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from autograder.grading.worker import Worker
from autograder.sandbox.process import ForkServer
from autograder.submissions import intake

ROOT = Path(__file__).parents[2]

NAME = "03_small"
ASSIGNMENT = "project3"
GIVEN = "SCALE = 2.0\n\n\ndef halved(value):\n    return value / SCALE\n"
IMPORTS = "import torch\nfrom torch import Tensor\n"
IMPORTS += "\nfrom mnistdiff.course.expect import expect, on_copies\n"
GROUPS = ("ddim_sigma", "ddim_step")
Edit = Callable[[NotebookNode], None]


@cache
def solutions() -> dict[str, str]:
    """Every answer of the course, by the name of its cell."""
    cells = [c for nb in build_notebooks.read_sources(ROOT).values() for c in nb.cells]
    answers = {c.id: c.source.split("\n") for c in cells if guard.grading(c).get("solution")}
    return {
        name: "\n".join(line for line in lines if line.strip() not in guard.MARKERS)
        for name, lines in answers.items()
    }


@cache
def _whole(name: str) -> NotebookNode:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def released(name: str = NAME) -> NotebookNode:
    """A notebook as students get it; `NAME` is notebook 03, cut down to two exercises."""
    from copy import deepcopy

    notebook = deepcopy(_whole("03_ddpm_ddim" if name == NAME else name))
    if name != NAME:
        return notebook
    by_id = {c.id: c for c in notebook.cells}
    by_id["cell-004"].source = IMPORTS
    by_id["cell-031"].source = GIVEN
    names = ["cell-000", "cell-002", "cell-004", "cell-026"]
    names += ["ddim_sigma", "visible_ddim_sigma", "test_ddim_sigma", "cell-030", "cell-031"]
    names += ["cell-032", "ddim_step", "visible_ddim_step", "test_ddim_step", "cell-036"]
    notebook.cells = [by_id[n] for n in [*names, "cell-062", "explain_ddim", "cell-064"]]
    return notebook


def filled(name: str = NAME, **answers: str) -> NotebookNode:
    """A released notebook with every answer right, but for those that are given here."""
    notebook = released(name)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = answers.get(cell.id, solutions()[cell.id])
    return notebook


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    """The cell of that id."""
    return next(c for c in notebook.cells if c.get("id") == name)


def insert(notebook: NotebookNode, before: str, source: str) -> None:
    """A student's own cell in front of the one of that id."""
    place = [c.get("id") for c in notebook.cells].index(before)
    notebook.cells.insert(place, new_code_cell(source))


class Class:
    """A course folder to hand in to, and what became of it."""

    def __init__(self, course: Path, name: str = NAME) -> None:
        self.course, self.name = course, name
        self.records: dict[str, dict[str, Any]] = {}
        folder = course / "release" / ASSIGNMENT
        folder.mkdir(parents=True)
        nbformat.write(released(name), folder / f"{name}.ipynb")

    def folder(self, student: str) -> Path:
        path = self.course / "submitted" / student / ASSIGNMENT
        path.mkdir(parents=True, exist_ok=True)
        return path

    def hand_in(self, student: str, notebook: NotebookNode | dict) -> None:
        """Write it as it is: nothing validates what a student hands in."""
        text = json.dumps(notebook)
        (self.folder(student) / f"{self.name}.ipynb").write_text(text)

    def grade(self, fork_server: ForkServer, which: Callable[[str], bool] = bool) -> None:
        """One run over these students, in one worker."""
        worker = Worker.__new__(Worker)
        worker.fork_server = fork_server
        keep = self.course / ".autograder" / "notebooks"
        for job in filter(lambda job: which(job.student), intake.jobs(self.course, ASSIGNMENT)):
            self.records[job.student] = json.loads(json.dumps(worker.grade(job, keep)))

    def points(self, student: str) -> dict[str, float | None]:
        """Points by cell, without the tests' prefix."""
        cells = self.records[student]["verdict"]["cells"]
        return {c["grade_id"].removeprefix("test_"): c["points"] for c in cells}

    def executed(self, student: str) -> NotebookNode:
        """The notebook that a person would look at."""
        key = self.records[student]["key"]
        path = self.course / ".autograder" / "notebooks" / f"{key}.ipynb"
        return nbformat.read(path, as_version=4)

    def shown(self, student: str) -> str:
        """Everything that is kept of a submission, as text."""
        record = self.records[student]
        kept = json.dumps(self.executed(student)) if record["state"] == "graded" else ""
        return json.dumps(record) + kept

    def printed(self, student: str) -> str:
        """What its cells have printed."""
        outputs = [out for c in self.executed(student).cells for out in c.get("outputs", [])]
        return "".join(out.get("text", "") for out in outputs)
