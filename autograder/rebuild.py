"""The notebook that is graded: the source's own cells, the student's answers put in by name.

Nothing of a submission is trusted but the text of its cells. Given cells that carry no grading
role may be edited by a student, as stock nbgrader allows; locked ones are the source's, always.
"""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from nbformat import NotebookNode, v4

ACCIDENT, TAMPERING = "accident", "tampering"
LIKE = 0.6  # of a cell without a name to a released answer cell, to be taken for its answer


@dataclass
class Rebuilt:
    """The cells to run in order, and what differed from the source."""

    notebook: NotebookNode
    notes: list[dict[str, str]] = field(default_factory=list)
    blank: set[str] = field(default_factory=set)  # answers left as they were released
    own: set[int] = field(default_factory=set)  # places of cells that hold a student's text

    def note(self, kind: str, text: str) -> None:
        self.notes.append({"kind": kind, "text": text[:300]})


def role_of(cell: NotebookNode) -> dict[str, Any]:
    """The cell's nbgrader metadata, {} where it is none."""
    role = cell.get("metadata", {}).get("nbgrader", {})
    return role if isinstance(role, dict) else {}


def is_answer(cell: NotebookNode) -> bool:
    """Whether a source cell is one that students fill."""
    return bool(role_of(cell).get("solution"))


def is_test(cell: NotebookNode) -> bool:
    """Whether a source cell is worth points that a check decides on."""
    role = role_of(cell)
    return bool(role.get("grade")) and not role.get("solution") and cell.cell_type == "code"


def is_parameters(cell: NotebookNode) -> bool:
    """Whether papermill, and this grader, put the profile here."""
    return "parameters" in cell.metadata.get("tags", [])


def rebuild(released: NotebookNode, submitted: NotebookNode) -> Rebuilt:
    """Put the texts of `submitted` into `released`; every difference is noted."""
    result = Rebuilt(deepcopy(released))
    matched, extra = _match(released, submitted, result)
    cells, own = [], []
    for place, cell in enumerate(result.notebook.cells):
        mine, answer = matched.get(place, []), is_answer(cell)
        source = cell.source
        if is_parameters(cell):
            cell.source = 'profile = "smoke"'
        elif answer:
            _answer(cell, mine, result)
        elif role_of(cell):
            _locked(cell, mine, result)
        elif cell.cell_type == "code":
            _given(cell, mine, result)
        _clear(cell)
        own.append(cell.cell_type == "code" and (answer or cell.source != source))
        cells.append(cell)
        for text in [*(_rest(cell, mine) if answer else []), *extra.get(place, [])]:
            cells.append(v4.new_code_cell(text, id=f"own-{len(cells)}"))
            own.append(True)
    leading = [v4.new_code_cell(text, id=f"own-first-{n}") for n, text in enumerate(extra[-1])]
    result.notebook.cells = [*leading, *cells]
    flags = [True] * len(leading) + own
    result.own = {place for place, mine in enumerate(flags) if mine}
    return result


def _clear(cell: NotebookNode) -> None:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None


def _match(
    released: NotebookNode, submitted: NotebookNode, result: Rebuilt
) -> tuple[dict[int, list[NotebookNode]], dict[int, list[str]]]:
    """Submitted cells by the place of the released one, and own code by the place before it."""
    by_name = {role_of(c)["grade_id"]: i for i, c in enumerate(released.cells) if role_of(c)}
    by_id = {c.id: i for i, c in enumerate(released.cells)}
    by_text: dict[str, list[int]] = {}
    for i, cell in enumerate(released.cells):
        by_text.setdefault(cell.source.strip(), []).append(i)
    places: list[int | None] = []
    for cell in submitted.cells:
        name = role_of(cell).get("grade_id")
        place = by_name.get(name) if isinstance(name, str) else None
        if place is None and cell.get("id") in by_id:
            found = by_id[cell["id"]]
            # An id says less than a name: it may have moved to a cell of the student's own.
            place = found if _alike(cell, released.cells[found]) else None
        if place is None:
            free = [i for i in by_text.get(cell.source.strip(), []) if i not in places]
            place = free[0] if free else None
        places.append(place)
    _find_answers(released, submitted, places, result)
    matched: dict[int, list[NotebookNode]] = {}
    extra: dict[int, list[str]] = {place: [] for place in range(-1, len(released.cells))}
    last = -1
    for cell, place in zip(submitted.cells, places, strict=True):
        if place is None:
            if cell.cell_type == "code" and cell.source.strip():
                extra[last].append(cell.source)
            continue
        matched.setdefault(place, []).append(cell)
        last = place
    return matched, extra


def _alike(cell: NotebookNode, released: NotebookNode) -> bool:
    if role_of(released):
        return cell.cell_type == released.cell_type
    return SequenceMatcher(None, cell.source, released.source).quick_ratio() >= LIKE


def _find_answers(
    released: NotebookNode,
    submitted: NotebookNode,
    places: list[int | None],
    result: Rebuilt,
) -> None:
    """Answers whose cell has lost its name are found by what they define."""
    for i, cell in enumerate(released.cells):
        if not is_answer(cell) or i in places:
            continue
        wanted = _defined(cell.source)
        for at, other in enumerate(submitted.cells):
            unnamed = places[at] is None and other.cell_type == "code"
            if unnamed and wanted & _defined(other.source):
                places[at] = i
                name = role_of(cell)["grade_id"]
                result.note(ACCIDENT, f"the cell `{name}` had lost its name; found by content")
                break


def _defined(source: str) -> set[str]:
    """Names of the functions and classes at the start of a line."""
    return set(re.findall(r"^(?:def|class)\s+(\w+)", source, re.MULTILINE))


def _answer(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """The student's text in the source's cell."""
    name, source = role_of(cell)["grade_id"], cell.source
    if not mine:
        result.note(ACCIDENT, f"the cell `{name}` is missing: counted as left blank")
        result.blank.add(name)
        return
    answers = [c for c in mine if c.source.strip() != source.strip()] or mine[:1]
    cell.source = answers[0].source
    if cell.source.strip() == source.strip():
        result.blank.add(name)
    if len(mine) > 1:
        result.note(ACCIDENT, f"the cell `{name}` is there {len(mine)} times: split or copied")
    if mine[0].cell_type != cell.cell_type:
        result.note(ACCIDENT, f"the cell `{name}` was a {mine[0].cell_type} cell")
    _compare_roles(cell, mine[0], result)


def _rest(cell: NotebookNode, mine: list[NotebookNode]) -> list[str]:
    """What a split or copied answer has after its first part."""
    if cell.cell_type != "code":
        return []
    seen = [c.source for c in mine if c.source.strip()]
    return seen[seen.index(cell.source) + 1 :] if cell.source in seen else []


def _locked(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """A locked cell stays the source's."""
    name = role_of(cell)["grade_id"]
    if not mine:
        result.note(ACCIDENT, f"the locked cell `{name}` was deleted; restored")
        return
    if any(c.source.strip() != cell.source.strip() for c in mine):
        result.note(TAMPERING, f"the locked cell `{name}` was changed; restored")
    if len(mine) > 1:
        result.note(ACCIDENT, f"the locked cell `{name}` is there {len(mine)} times; one kept")
    _compare_roles(cell, mine[0], result)


ROLE = ("grade", "solution", "locked", "points", "schema_version")


def _compare_roles(cell: NotebookNode, mine: NotebookNode, result: Rebuilt) -> None:
    ours, theirs = role_of(cell), role_of(mine)
    changed = [key for key in ROLE if theirs and theirs.get(key) != ours.get(key)]
    if changed:
        named = ", ".join(changed)
        result.note(TAMPERING, f"the cell `{ours['grade_id']}` says other {named}; ignored")


def _given(cell: NotebookNode, mine: list[NotebookNode], result: Rebuilt) -> None:
    """A given cell that students may edit: theirs, if it is there."""
    code = [c for c in mine if c.cell_type == "code"]
    if code and code[0].source.strip() != cell.source.strip():
        result.note(ACCIDENT, f"a given cell was edited: {code[0].source.strip()[:60]!r}")
        cell.source = code[0].source
