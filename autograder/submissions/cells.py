"""What a cell is: its role, its text, and whether two are the same."""

from typing import Any

from nbformat import NotebookNode


def role_of(cell: NotebookNode) -> dict[str, Any]:
    """The cell's nbgrader metadata, {} where it is none."""
    role = cell.get("metadata", {}).get("nbgrader", {})
    return role if isinstance(role, dict) else {}


def is_answer(cell: NotebookNode) -> bool:
    """Whether a source cell is one that students fill."""
    return bool(role_of(cell).get("solution"))


def same(a: NotebookNode, b: NotebookNode) -> bool:
    """Whether two cells hold the same text, but for white space at line ends and around it."""
    return trimmed(a.source) == trimmed(b.source)


def trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def is_test(cell: NotebookNode) -> bool:
    """Whether a source cell is worth points that a check decides on."""
    role = role_of(cell)
    return bool(role.get("grade")) and not role.get("solution") and cell.cell_type == "code"


def is_parameters(cell: NotebookNode) -> bool:
    """Whether papermill, and this grader, put the profile here."""
    return "parameters" in cell.metadata.get("tags", [])
