"""A notebook with a few graded cells, for tests that need no whole assignment."""

from copy import deepcopy
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from autograder.checks import find

ROOT = Path(__file__).parents[2]
ROLE = {"grade": False, "locked": False, "schema_version": 3, "solution": True, "task": False}


def fixture(name: str) -> str:
    """The text of an answer under tests/answers."""
    return (ROOT / "tests" / "answers" / f"{name}.py").read_text()


def notebooks(*names: str) -> NotebookNode:
    """A released notebook with these cells and their tests."""
    notebook = new_notebook(cells=[new_code_cell("import torch", id="setup")])
    for name in names:
        answer = ROLE | {"grade_id": name}
        test = ROLE | {"grade_id": f"test_{name}", "points": find(name).points}
        test |= {"grade": True, "solution": False, "locked": True}
        for role in (answer, test):
            source = "raise NotImplementedError" if role is answer else "# hidden checks run here"
            cell = new_code_cell(source, id=role["grade_id"], metadata={"nbgrader": role})
            notebook.cells.append(cell)
    return notebook


def filled(released: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """The same, handed in."""
    notebook = deepcopy(released)
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    return notebook
