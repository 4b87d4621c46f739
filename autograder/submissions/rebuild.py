"""Rebuild the notebook that is graded: the source's cells with the student's answers put in.

Only the text of a submission's cells is trusted. Students may edit given cells without a grading
role, as stock nbgrader allows; locked cells always keep the source's text. A student's own cells
stay between the same neighbours.
"""

import ast
import base64
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

from nbformat import NotebookNode, v4

from autograder.submissions.cell_matching import Matching, match
from autograder.submissions.cells import is_answer, is_parameters, role_of, same
from mnistdiff.course.dependencies import MAX_CELL
from mnistdiff.course.notebooks import Cell

ACCIDENT, TAMPERING = "accident", "tampering"
ELSEWHERE = "# written in another cell"
PROFILE = 'profile = "smoke"'
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
ROLE = ("grade", "solution", "locked", "points", "schema_version")


@dataclass
class Rebuilt:
    """The cells to run in order, and what differed from the source."""

    notebook: NotebookNode
    notes: list[dict[str, str]] = field(default_factory=list)
    blank: set[str] = field(default_factory=set)  # names of answers left as they were released
    own: set[int] = field(default_factory=set)  # indices of code cells that hold a student's text

    def note(self, kind: str, text: str) -> None:
        """Record a difference: an accident, or tampering."""
        self.notes.append({"kind": kind, "text": text[:300]})


class PlacedCell(NamedTuple):
    """A cell of the rebuilt notebook."""

    cell: NotebookNode
    is_students: bool  # its text is the student's


def rebuild(released: NotebookNode, submitted: NotebookNode) -> Rebuilt:
    """Put the texts of `submitted` into a copy of `released`, and note every difference."""
    result = Rebuilt(deepcopy(released))
    found = match(released, submitted)
    placed = [*_extra_cells(found, -1)]
    for place, cell in enumerate(result.notebook.cells):
        _fill_in(place, cell, released, found, result)
        changed = is_answer(cell) or not same(cell, released.cells[place])
        if is_parameters(cell):
            cell.source = f"{cell.source}\n{PROFILE}" if changed else PROFILE
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        placed += [PlacedCell(cell, changed), *_extra_cells(found, place)]
    result.notebook.cells = [each.cell for each in placed]
    result.own = {i for i, (cell, mine) in enumerate(placed) if mine and cell.cell_type == "code"}
    return result


def _fill_in(
    place: int, cell: NotebookNode, released: NotebookNode, found: Matching, result: Rebuilt
) -> None:
    """Give the rebuilt cell the student's text where they may write, and note differences."""
    mine = found.matched.get(place, [])
    if is_answer(cell) and place in found.elsewhere:
        _clear_stub(cell, result)
    elif is_answer(cell):
        _take_answer(cell, mine, result)
        _keep_if_text_nearby(place, released, found, result)
    elif role_of(cell):
        _note_locked(cell, mine, result)
    else:
        _take_edit(cell, mine, result)


def _extra_cells(found: Matching, place: int) -> Iterator[PlacedCell]:
    """Yield the student's extra cells after a place, with their text and pictures only."""
    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    for number, cell in enumerate(found.extra[place]):
        id_ = f"own-{place + 1}-{number}"
        new = make.get(cell.cell_type, v4.new_raw_cell)(cell.source, id=id_)
        _take_pictures(new, cell)
        yield PlacedCell(new, True)


def _take_pictures(cell: NotebookNode, other: NotebookNode) -> None:
    """Copy the pictures that a student pasted into a text, because a person reads it."""
    found, kept = other.get("attachments"), {}
    if cell.cell_type == "code" or not isinstance(found, dict):
        return
    for name, data in found.items():
        pictures = data if isinstance(data, dict) else {}
        pictures = {k: v for k, v in pictures.items() if k in PICTURES and isinstance(v, str)}
        pictures = {kind: _as_base64(kind, text) for kind, text in pictures.items()}
        if pictures and all(BASE64.fullmatch(text) for text in pictures.values()):
            kept[name.encode("utf-8", "replace").decode()] = pictures
    if kept:
        cell.attachments = kept


def _as_base64(kind: str, text: str) -> str:
    """Return a picture's base64 text: some programs paste SVG as it is."""
    if kind != "image/svg+xml" or not text.lstrip().startswith("<"):
        return text
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


def _clear_stub(cell: NotebookNode, result: Rebuilt) -> None:
    """Empty an answer cell whose answer runs elsewhere, so that the stub does not undo it."""
    cell.source = ELSEWHERE
    name = role_of(cell)["grade_id"]
    result.note(ACCIDENT, f"the cell `{name}` is missing; another cell defines what it asks for")


def _take_answer(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """Put the student's answer into the source's cell."""
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
        result.note(ACCIDENT, f"the cell `{name}` occurs {len(mine)} times: split or copied")
    if mine[0].cell_type != cell.cell_type:
        result.note(ACCIDENT, f"the cell `{name}` was a {mine[0].cell_type} cell")
    if role_of(mine[0]).get("grade_id") != name:
        result.note(ACCIDENT, f"the cell `{name}` had lost its name; found by its content or id")
    _compare_roles(cell, mine[0], result)


def _keep_if_text_nearby(
    place: int, released: NotebookNode, found: Matching, result: Rebuilt
) -> None:
    """Don't count a blank written answer as blank if nearby text may be it; a person decides.

    Nearby is beside its cell or at the notebook's end; anywhere if its cell is gone.
    """
    if released.cells[place].cell_type != "markdown":
        return
    matched, extra = found.matched, found.extra
    gone = place not in matched
    before, end = max((p for p in matched if p < place), default=-1), max(matched, default=-1)
    beside = extra if gone else (before, place)  # other cells may be gone, too
    given = range(len(released.cells)) if gone else (place - 1, place + 1)
    if (
        any(_is_text(c) for p in beside for c in extra[p])
        or any(c.cell_type != "code" for c in extra[end])
        or any(_is_edited_text(p, released, found) for p in given)
    ):
        result.blank.discard(role_of(released.cells[place])["grade_id"])


def _is_edited_text(place: int, released: NotebookNode, found: Matching) -> bool:
    """Return whether the student edited a given text."""
    if all(same(c, released.cells[place]) for c in found.matched.get(place, [])):
        return False
    return released.cells[place].cell_type == "markdown" and not is_answer(released.cells[place])


def _is_text(cell: NotebookNode) -> bool:
    """Return whether a cell is written for people, including prose or comments in a code cell."""
    if cell.cell_type != "code":
        return True
    try:
        body = ast.parse(cell.source[:MAX_CELL]).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return not cell.source.lstrip().startswith(("%", "!"))
    return all(isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in body)


def _note_locked(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """Note how a submission changed a locked cell; the source's text stays."""
    name = role_of(cell)["grade_id"]
    if not mine:
        result.note(ACCIDENT, f"the locked cell `{name}` was deleted; restored")
        return
    changed = [c for c in mine if not same(c, cell)]
    if changed and all(map(_is_as_released, changed)):
        result.note(
            ACCIDENT,
            f"the locked cell `{name}` differs, but fits its own checksum, as a cell of another "
            "release does; the current one ran",
        )
    elif changed:
        result.note(TAMPERING, f"the locked cell `{name}` was changed; restored")
    if len(mine) > 1:
        result.note(ACCIDENT, f"the locked cell `{name}` occurs {len(mine)} times; one kept")
    _compare_roles(cell, mine[0], result)


def _is_as_released(cell: NotebookNode) -> bool:
    """Return whether a cell is as some release gave it out: it fits its own checksum."""
    return Cell(cell.cell_type, cell.source, role_of(cell)).is_as_released


def _compare_roles(cell: NotebookNode, mine: NotebookNode, result: Rebuilt) -> None:
    """Note grading metadata that a student changed."""
    ours, theirs = role_of(cell), role_of(mine)
    changed = [key for key in ROLE if theirs and theirs.get(key) != ours.get(key)]
    if changed and theirs.get("grade_id") == ours["grade_id"]:
        other = not is_answer(cell) and _is_as_released(mine)
        text = "other" if other else "changed"
        text = f"the cell `{ours['grade_id']}` has {text} {', '.join(changed)}; ignored"
        result.note(ACCIDENT if other else TAMPERING, text)


def _take_edit(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """Take the student's version of a given cell that they may edit."""
    if not mine or mine[0].cell_type != cell.cell_type or same(mine[0], cell):
        return
    if cell.cell_type == "code":
        result.note(ACCIDENT, f"a given cell was edited: {mine[0].source.strip()[:60]!r}")
    cell.source = mine[0].source
    _take_pictures(cell, mine[0])
