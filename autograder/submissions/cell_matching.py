"""Match the cells of a submission to those of the source: by name, id, text or content.

A *place* is the index of a released cell. "At" is the index of a submitted cell.
"""

import ast
import re
from bisect import bisect_right
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

from nbformat import NotebookNode

from autograder.submissions.cells import is_answer, is_locked, role_of, same, trimmed
from mnistdiff.course.dependencies import MAX_CELL, names_of

DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
MIN_SIMILARITY = 0.6  # a cell with a released id is its edited version from this ratio on
Cells = dict[int, list[NotebookNode]]


class Matching(NamedTuple):
    """The submitted cells, sorted by the released cell that they belong to."""

    matched: Cells  # place -> the submitted cells that match it; the first one counts
    extra: Cells  # place -> the student's extra cells that follow it; -1 is the notebook's top
    elsewhere: set[int]  # places of answers written in another cell, which runs where it stands


def match(released: NotebookNode, submitted: NotebookNode) -> Matching:
    """Map each released cell to its submitted cells, and list the student's extra cells."""
    _parsed.cache_clear()  # so that it holds the names of one submission at most
    places = _find_places(released, submitted)
    elsewhere, moved = _find_answers(released, submitted, places)
    in_order = _longest_in_order(places)
    matched: Cells = {}
    extra: Cells = {place: [] for place in range(-1, len(released.cells))}
    last = -1
    for at, (cell, place) in enumerate(zip(submitted.cells, places, strict=True)):
        if place is not None and at in in_order:
            last = place
        if place is None:
            if cell.source.strip():
                extra[last].append(cell)
        elif not matched.get(place) or _still_blank(matched[place], released.cells[place]):
            matched.setdefault(place, []).insert(0, cell)  # the first cell that is not blank counts
        else:
            matched[place].append(cell)
            if _is_own_text(cell, released.cells[place]):  # e.g. the second part of a split answer
                extra[last].append(cell)
    matched |= {place: [submitted.cells[at]] for place, at in moved.items()}
    return Matching(matched, extra, elsewhere)


def _is_own_text(cell: NotebookNode, released: NotebookNode) -> bool:
    """Return whether a further copy of an unlocked cell holds text that was not given out."""
    return not is_locked(released) and bool(cell.source.strip()) and not same(cell, released)


def _still_blank(mine: list[NotebookNode], released: NotebookNode) -> bool:
    """Return whether these cells of an answer add nothing to the released text."""
    return is_answer(released) and all(not c.source.strip() or same(c, released) for c in mine)


def _find_places(released: NotebookNode, submitted: NotebookNode) -> list[int | None]:
    """Return each submitted cell's place by name, id or text; None for a student's own cell."""
    by_name = {role_of(c)["grade_id"]: i for i, c in enumerate(released.cells) if role_of(c)}
    by_id = {c.id: i for i, c in enumerate(released.cells)}
    by_text: dict[str, list[int]] = {}
    for i, cell in reversed([*enumerate(released.cells)]):
        by_text.setdefault(trimmed(cell.source), []).append(i)
    places: list[int | None] = []
    taken: set[int] = set()
    for cell in submitted.cells:
        name, id_ = role_of(cell).get("grade_id"), cell.get("id")
        place = by_name.get(name) if isinstance(name, str) else None
        if place is None and isinstance(id_, str) and id_ in by_id:
            found = by_id[id_]
            # An id is weaker evidence than a name: it may have moved to a student's own cell.
            place = found if _is_similar(cell, released.cells[found]) else None
        if place is None:
            free = by_text.get(trimmed(cell.source), [])
            while free and free[-1] in taken:
                free.pop()
            place = free.pop() if free else None
        places.append(place)
        taken.add(-1 if place is None else place)
    return [_by_content(c, p, released) for c, p in zip(submitted.cells, places, strict=True)]


def _by_content(cell: NotebookNode, place: int | None, released: NotebookNode) -> int | None:
    """Return the place; another answer's place if the cell defines what only that answer asks."""
    if place is None or cell.cell_type != "code" or not is_answer(released.cells[place]):
        return place
    found = _defined(cell.source)
    if not found or found & _defined(released.cells[place].source):
        return place
    others = [
        i for i, c in enumerate(released.cells) if is_answer(c) and found & _defined(c.source)
    ]
    return others[0] if len(others) == 1 else place


def _is_similar(cell: NotebookNode, released: NotebookNode) -> bool:
    """Return whether a cell may be an edited version of the released one that has its id."""
    if cell.cell_type != released.cell_type or is_answer(released):
        return cell.cell_type == released.cell_type
    if trimmed(released.source) in trimmed(cell.source):
        return True
    return SequenceMatcher(None, cell.source, released.source).quick_ratio() >= MIN_SIMILARITY


def _longest_in_order(places: list[int | None]) -> set[int]:
    """Return the submitted cells of the longest run whose places do not decrease.

    The other cells were moved, so a student's own cells keep their position relative to the run.
    """
    ends: list[int] = []  # the last place of the best run of each length
    which: list[int] = []  # and the cell at its end
    before: dict[int, int | None] = {}
    for at, place in enumerate(places):
        if place is None:
            continue
        length = bisect_right(ends, place)
        before[at] = which[length - 1] if length else None
        ends[length : length + 1], which[length : length + 1] = [place], [at]
    run: set[int] = set()
    at = which[-1] if which else None
    while at is not None:
        run.add(at)
        at = before[at]
    return run


def _find_answers(
    released: NotebookNode, submitted: NotebookNode, places: list[int | None]
) -> tuple[set[int], dict[int, int]]:
    """Find answers that lost their cell, or left it blank, by what they define.

    Completes `places`. Returns the places of answers that stay in a cell which holds more; and,
    for answers in a cell that would run too early or too late, that cell by place.
    """
    elsewhere: set[int] = set()
    moved: dict[int, int] = {}
    code = [(at, c) for at, c in enumerate(submitted.cells) if c.cell_type == "code"]
    for i, cell in enumerate(released.cells):
        wanted = _defined(cell.source)
        if not is_answer(cell) or not wanted:
            continue
        if i in places:
            mine = [c for c, place in zip(submitted.cells, places, strict=True) if place == i]
            if _still_blank(mine, cell):
                own = [at for at, c in code if wanted & _defined(c.source) and places[at] != i]
                own = [at for at in own if not _was_given(wanted, released, places[at])]
                own = [at for at in own if _is_above_later_cells(places, at, i)] or own
                moved |= {i: own[-1]} if own else {}
            continue
        found = [at for at, other in code if wanted & _defined(other.source)]
        found = found or [at for at, other in code if wanted & _assigned(other.source)]
        lost = [at for at in found if _is_overwritten(submitted.cells[at], released, places[at])]
        if lost and len(lost) == len(found):  # it was merged into a locked cell
            places[lost[0]] = i
        elif len(found) == 1 and _fits(places, found[0], i):
            places[found[0]] = i
        elif any(_is_above_later_cells(places, at, i) for at in found):
            elsewhere.add(i)
        elif found:
            moved[i] = found[-1]
    return elsewhere, moved


def _is_above_later_cells(places: list[int | None], at: int, place: int) -> bool:
    """Return whether a cell stands above all cells after that place, including its tests."""
    return max((p for p in places[:at] if p is not None), default=-1) <= place


def _was_given(wanted: frozenset[str], released: NotebookNode, place: int | None) -> bool:
    """Return whether the released cell at that place already defines one of these names."""
    return place is not None and bool(wanted & _defined(released.cells[place].source))


def _is_overwritten(cell: NotebookNode, released: NotebookNode, place: int | None) -> bool:
    """Return whether the text would be lost, because a locked cell is restored at its place."""
    if place is None:
        return False
    return is_locked(released.cells[place]) and not same(cell, released.cells[place])


def _fits(places: list[int | None], at: int, place: int) -> bool:
    """Return whether a student's own cell stands between the neighbours of that place."""
    before = [p for p in places[:at] if p is not None]
    after = [p for p in places[at:] if p is not None]
    return places[at] is None and (before or [-1])[-1] < place < (after or [place + 1])[0]


def _defined(source: str) -> frozenset[str]:
    """Return the functions and classes that a cell defines at its top level."""
    return _parsed(source) if len(source) <= MAX_CELL else _searched(source)


@lru_cache(None)
def _parsed(source: str) -> frozenset[str]:
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # e.g. the cell has magics
        return _searched(source)
    return frozenset(node.name for node in body if isinstance(node, DEFINES))


def _searched(source: str) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:def|class)\s+(\w+)", source, re.MULTILINE))


def _assigned(source: str) -> set[str]:
    """Return the names that a cell binds other than by imports, including below an `if`."""
    names = names_of(source)
    return names.binds - names.imports if names else set()
