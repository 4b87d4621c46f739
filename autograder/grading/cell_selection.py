"""Select the cells that a grading run needs; see `mnistdiff.course.dependencies`."""

from nbformat import NotebookNode

from autograder.submissions.cells import is_parameters, role_of
from mnistdiff.course import dependencies


def cells_to_run(cells: list[NotebookNode], own: set[int]) -> set[int]:
    """Return the indices of the code cells to run; `own` are those that hold a student's text."""
    code = {place: cell for place, cell in enumerate(cells) if cell.cell_type == "code"}
    always = {p for p, cell in code.items() if role_of(cell) or is_parameters(cell)} | own
    return dependencies.needed({place: cell.source for place, cell in code.items()}, always)
