"""Which given cells a grading run can leave out; see `mnistdiff.course.dependencies`."""

from nbformat import NotebookNode

from autograder.submissions.cells import is_parameters, role_of
from mnistdiff.course import dependencies as names


def needed(cells: list[NotebookNode], own: set[int]) -> set[int]:
    """Places of the code cells to run, given those that hold a student's text."""
    code = {place: cell for place, cell in enumerate(cells) if cell.cell_type == "code"}
    always = {p for p, cell in code.items() if role_of(cell) or is_parameters(cell)} | own
    return names.needed({place: cell.source for place, cell in code.items()}, always)
