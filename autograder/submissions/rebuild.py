"""The notebook that is graded: the source's own cells, the student's answers put in by name.

Nothing of a submission is trusted but the text of its cells. Given cells that carry no grading
role may be edited by a student, as stock nbgrader allows; locked ones are the source's, always.
Cells of a student's own stay where they are, between the source's.
"""

import ast
import re
from copy import deepcopy
from dataclasses import dataclass, field

from nbformat import NotebookNode, v4

from autograder.submissions.cell_matching import Cells, match
from autograder.submissions.cells import is_answer, is_parameters, role_of, same

ACCIDENT, TAMPERING = "accident", "tampering"
ELSEWHERE = "# written in another cell"
PROFILE = 'profile = "smoke"'
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
PICTURES = ("image/png", "image/jpeg", "image/gif")


@dataclass
class Rebuilt:
    """The cells to run in order, and what differed from the source."""

    notebook: NotebookNode
    notes: list[dict[str, str]] = field(default_factory=list)
    blank: set[str] = field(default_factory=set)  # answers left as they were released
    own: set[int] = field(default_factory=set)  # places of cells that hold a student's text

    def note(self, kind: str, text: str) -> None:
        self.notes.append({"kind": kind, "text": text[:300]})


def rebuild(released: NotebookNode, submitted: NotebookNode) -> Rebuilt:
    """Put the texts of `submitted` into `released`; every difference is noted."""
    result = Rebuilt(deepcopy(released))
    matched, extra, elsewhere = match(released, submitted)
    cells: list[NotebookNode] = [_own(cell, -1, n) for n, cell in enumerate(extra[-1])]
    flags = [True] * len(cells)
    for place, cell in enumerate(result.notebook.cells):
        mine = matched.get(place, [])
        if is_answer(cell) and place in elsewhere:
            _elsewhere(cell, result)
        elif is_answer(cell):
            _answer(cell, mine, result)
            _look_around(place, released, matched, extra, result)
        elif role_of(cell):
            _locked(cell, mine, result)
        else:
            _given(cell, mine, result)
        changed = is_answer(cell) or not same(cell, released.cells[place])
        if is_parameters(cell):
            cell.source = f"{cell.source}\n{PROFILE}" if changed else PROFILE
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        own = [_own(other, place, n) for n, other in enumerate(extra[place])]
        cells += [cell, *own]
        flags += [changed, *(True for _ in own)]
    result.notebook.cells = cells
    texts = zip(cells, flags, strict=True)
    result.own = {i for i, (cell, own) in enumerate(texts) if own and cell.cell_type == "code"}
    return result


def _own(cell: NotebookNode, place: int, number: int) -> NotebookNode:
    """A student's own cell, without anything but its text and pictures."""
    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    new = make.get(cell.cell_type, v4.new_raw_cell)(cell.source, id=f"own-{place + 1}-{number}")
    _take_pictures(new, cell)
    return new


def _take_pictures(cell: NotebookNode, other: NotebookNode) -> None:
    """Pictures that a student has pasted into a text: a person reads it."""
    found, kept = other.get("attachments"), {}
    if cell.cell_type == "code" or not isinstance(found, dict):
        return
    for name, data in found.items():
        pictures = data if isinstance(data, dict) else {}
        pictures = {k: v for k, v in pictures.items() if k in PICTURES and isinstance(v, str)}
        if pictures and all(BASE64.fullmatch(text) for text in pictures.values()):
            kept[name.encode("utf-8", "replace").decode()] = pictures
    if kept:
        cell.attachments = kept


def _elsewhere(cell: NotebookNode, result: Rebuilt) -> None:
    """The answer runs where the student has put it; the released stub must not undo it."""
    cell.source = ELSEWHERE
    name = role_of(cell)["grade_id"]
    result.note(ACCIDENT, f"the cell `{name}` is missing; what it defines is in another cell")


def _answer(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """The student's text in the source's cell."""
    name = role_of(cell)["grade_id"]
    if not mine:
        result.note(ACCIDENT, f"the cell `{name}` is missing")
        result.blank.add(name)
        return
    if same(mine[0], cell) or not mine[0].source.strip():
        result.blank.add(name)
    cell.source = mine[0].source
    _take_pictures(cell, mine[0])
    if len(mine) > 1:
        result.note(ACCIDENT, f"the cell `{name}` is there {len(mine)} times: split or copied")
    if mine[0].cell_type != cell.cell_type:
        result.note(ACCIDENT, f"the cell `{name}` was a {mine[0].cell_type} cell")
    if role_of(mine[0]).get("grade_id") != name:
        result.note(ACCIDENT, f"the cell `{name}` had lost its name; found by its content or id")
    _compare_roles(cell, mine[0], result)


def _look_around(
    place: int, released: NotebookNode, matched: Cells, extra: Cells, result: Rebuilt
) -> None:
    """A written answer left blank is not, where a text may be it: a person reads it.

    That is one beside it or at the notebook's end; any at all where its cell is gone.
    """
    if released.cells[place].cell_type != "markdown":
        return
    gone = place not in matched
    before, end = max((p for p in matched if p < place), default=-1), max(matched, default=-1)
    beside = extra if gone else (before, place)  # other cells may be gone, too
    given = range(len(released.cells)) if gone else (place - 1, place + 1)
    if (
        any(_is_text(c) for p in beside for c in extra[p])
        or any(c.cell_type != "code" for c in extra[end])
        or any(_is_edited(p, released, matched) for p in given)
    ):
        result.blank.discard(role_of(released.cells[place])["grade_id"])


def _is_edited(place: int, released: NotebookNode, matched: Cells) -> bool:
    """Whether a given text says something else now."""
    if all(same(c, released.cells[place]) for c in matched.get(place, [])):
        return False
    return released.cells[place].cell_type == "markdown" and not is_answer(released.cells[place])


def _is_text(cell: NotebookNode) -> bool:
    """Whether a cell is for people to read: prose in a code cell, or in its comments, is, too."""
    if cell.cell_type != "code":
        return True
    try:
        body = ast.parse(cell.source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return not cell.source.lstrip().startswith(("%", "!"))
    return all(isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in body)


def _locked(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """A locked cell stays the source's."""
    name = role_of(cell)["grade_id"]
    if not mine:
        result.note(ACCIDENT, f"the locked cell `{name}` was deleted; restored")
        return
    if not all(same(c, cell) for c in mine):
        result.note(TAMPERING, f"the locked cell `{name}` was changed; restored")
    if len(mine) > 1:
        result.note(ACCIDENT, f"the locked cell `{name}` is there {len(mine)} times; one kept")
    _compare_roles(cell, mine[0], result)


ROLE = ("grade", "solution", "locked", "points", "schema_version")


def _compare_roles(cell: NotebookNode, mine: NotebookNode, result: Rebuilt) -> None:
    ours, theirs = role_of(cell), role_of(mine)
    changed = [key for key in ROLE if theirs and theirs.get(key) != ours.get(key)]
    if changed and theirs.get("grade_id") == ours["grade_id"]:
        named = ", ".join(changed)
        result.note(TAMPERING, f"the cell `{ours['grade_id']}` says other {named}; ignored")


def _given(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """A given cell that students may edit: theirs, if it is there."""
    if not mine or mine[0].cell_type != cell.cell_type or same(mine[0], cell):
        return
    if cell.cell_type == "code":
        result.note(ACCIDENT, f"a given cell was edited: {mine[0].source.strip()[:60]!r}")
    cell.source = mine[0].source
    _take_pictures(cell, mine[0])
