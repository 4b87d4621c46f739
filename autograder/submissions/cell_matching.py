"""Which cell of a submission is which cell of the source: by name, by id, by text, by content."""

import ast
import re
from bisect import bisect_right
from difflib import SequenceMatcher

from nbformat import NotebookNode

from autograder.submissions.cells import is_answer, role_of, same, trimmed
from mnistdiff.course.dependencies import names_of

DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
LIKE = 0.6  # of a cell to the released one with its id, to be taken for its edited version
Cells = dict[int, list[NotebookNode]]


def match(released: NotebookNode, submitted: NotebookNode) -> tuple[Cells, Cells, set[int]]:
    """Submitted cells by the place of the released one, own cells by the place before them.

    Third, the places of answers that are written in another cell, which runs where it stands.
    """
    places = _places(released, submitted)
    elsewhere, other_cell = _find_answers(released, submitted, places)
    in_order = _in_order(places)
    matched: Cells = {}
    extra: Cells = {place: [] for place in range(-1, len(released.cells))}
    last = -1
    for at, (cell, place) in enumerate(zip(submitted.cells, places, strict=True)):
        if at in in_order:
            last = place
        if place is None:
            if cell.source.strip():
                extra[last].append(cell)
        elif not matched.get(place) or _still_blank(matched[place], released.cells[place]):
            matched.setdefault(place, []).insert(0, cell)  # the first that says something
        else:
            matched[place].append(cell)
            locked = role_of(released.cells[place]) and not is_answer(released.cells[place])
            if not locked and cell.source.strip() and not same(cell, released.cells[place]):
                extra[last].append(cell)  # of an answer that was split, say
    matched |= {place: [submitted.cells[at]] for place, at in other_cell.items()}
    return matched, extra, elsewhere


def _still_blank(mine: list[NotebookNode], released: NotebookNode) -> bool:
    """Whether these cells say no more than the one that was given out."""
    return is_answer(released) and all(not c.source.strip() or same(c, released) for c in mine)


def _places(released: NotebookNode, submitted: NotebookNode) -> list[int | None]:
    """For each submitted cell the place of the released one that it is: by name, id or text."""
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
            # An id says less than a name: it may have moved to a cell of the student's own.
            place = found if _alike(cell, released.cells[found]) else None
        if place is None:
            free = by_text.get(trimmed(cell.source), [])
            while free and free[-1] in taken:
                free.pop()
            place = free.pop() if free else None
        places.append(place)
        taken.add(-1 if place is None else place)
    return [_by_content(c, p, released) for c, p in zip(submitted.cells, places, strict=True)]


def _by_content(cell: NotebookNode, place: int | None, released: NotebookNode) -> int | None:
    """The place again; that of another answer, where a cell defines only what that one asks for."""
    found = _defined(cell.source)
    if place is None or not is_answer(released.cells[place]) or not found:
        return place
    if found & _defined(released.cells[place].source):
        return place
    others = [
        i for i, c in enumerate(released.cells) if is_answer(c) and found & _defined(c.source)
    ]
    return others[0] if len(others) == 1 else place


def _alike(cell: NotebookNode, released: NotebookNode) -> bool:
    if cell.cell_type != released.cell_type or is_answer(released):
        return cell.cell_type == released.cell_type
    if trimmed(released.source) in trimmed(cell.source):
        return True
    return SequenceMatcher(None, cell.source, released.source).quick_ratio() >= LIKE


def _in_order(places: list[int | None]) -> set[int]:
    """The submitted cells that stand in the source's order: as many of them as possible.

    The others were moved; so own cells are kept in place by these.
    """
    ends: list[int] = []  # place that the best run of each length ends with
    which: list[int] = []  # and the cell that it ends with
    before: dict[int, int | None] = {}
    for at, place in enumerate(places):
        if place is None:
            continue
        length = bisect_right(ends, place)
        before[at] = which[length - 1] if length else None
        ends[length : length + 1], which[length : length + 1] = [place], [at]
    found: set[int] = set()
    at = which[-1] if which else None
    while at is not None:
        found.add(at)
        at = before[at]
    return found


def _find_answers(
    released: NotebookNode, submitted: NotebookNode, places: list[int | None]
) -> tuple[set[int], dict[int, int]]:
    """Answers without a cell, or left blank, are found by what they define: `places` is completed.

    Gives the places of those that must stay where they are, in cells that hold more; and of
    those that are written in a cell which would run too early or too late, with that cell.
    """
    elsewhere: set[int] = set()
    other_cell: dict[int, int] = {}
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
                own = [at for at in own if _in_time(places, at, i)] or own
                other_cell |= {i: own[-1]} if own else {}
            continue
        found = [at for at, other in code if wanted & _defined(other.source)]
        found = found or [at for at, other in code if wanted & _assigned(other.source)]
        lost = [at for at in found if _is_lost(submitted.cells[at], released, places[at])]
        if lost and len(lost) == len(found):  # it was merged into a locked cell
            places[lost[0]] = i
        elif len(found) == 1 and _fits(places, found[0], i):
            places[found[0]] = i
        elif any(_in_time(places, at, i) for at in found):
            elsewhere.add(i)
        elif found:
            other_cell[i] = found[-1]
    return elsewhere, other_cell


def _in_time(places: list[int | None], at: int, place: int) -> bool:
    """Whether a cell stands above all that come after that place, its tests among them."""
    return max((p for p in places[:at] if p is not None), default=-1) <= place


def _was_given(wanted: set[str], released: NotebookNode, place: int | None) -> bool:
    """Whether a cell defines this as it was given out."""
    return place is not None and bool(wanted & _defined(released.cells[place].source))


def _is_lost(cell: NotebookNode, released: NotebookNode, place: int | None) -> bool:
    """Whether a cell's text would not run, for a locked cell of the source stands there."""
    if place is None or is_answer(released.cells[place]):
        return False
    return bool(role_of(released.cells[place])) and not same(cell, released.cells[place])


def _fits(places: list[int | None], at: int, place: int) -> bool:
    """Whether a cell without a name stands between the neighbours of that place."""
    before = [p for p in places[:at] if p is not None]
    after = [p for p in places[at:] if p is not None]
    return places[at] is None and (before or [-1])[-1] < place < (after or [place + 1])[0]


def _defined(source: str) -> set[str]:
    """Names of the functions and classes of a cell, not of what it quotes."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # magics, say
        return set(re.findall(r"^(?:def|class)\s+(\w+)", source, re.MULTILINE))
    return {node.name for node in body if isinstance(node, DEFINES)}


def _assigned(source: str) -> set[str]:
    """Names that a cell binds in any other way than by an import, also below an `if`."""
    names = names_of(source)
    return names.binds - names.imports if names else set()
