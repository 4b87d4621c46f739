"""Predicates on notebook cells: a cell's grading role, and whether two texts are the same."""

from typing import Any

from nbformat import NotebookNode


def role_of(cell: NotebookNode) -> dict[str, Any]:
    """Return the cell's nbgrader metadata, `{}` if it has none or it is not a dict."""
    role = cell.get("metadata", {}).get("nbgrader", {})
    return role if isinstance(role, dict) else {}


def is_answer(cell: NotebookNode) -> bool:
    """Return whether students fill in this cell of the source."""
    return bool(role_of(cell).get("solution"))


def is_test(cell: NotebookNode) -> bool:
    """Return whether a check decides on the points of this cell of the source."""
    role = role_of(cell)
    return bool(role.get("grade")) and not role.get("solution") and cell.cell_type == "code"


def is_locked(cell: NotebookNode) -> bool:
    """Return whether the cell has a grading role and students may not edit it."""
    return bool(role_of(cell)) and not is_answer(cell)


def is_parameters(cell: NotebookNode) -> bool:
    """Return whether the profile is set here, by papermill or by this grader."""
    return "parameters" in cell.metadata.get("tags", [])


def same(a: NotebookNode, b: NotebookNode) -> bool:
    """Return whether two cells hold the same text, apart from blanks at line ends and around it."""
    return trimmed(a.source) == trimmed(b.source)


def trimmed(text: str) -> str:
    """Return the text without blanks around it and at the ends of its lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
