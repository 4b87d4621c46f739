"""Checks of notebooks for wrong markers, cells and points, and for leaked answers.

Each check returns one sentence per problem.
"""

import difflib
import html
import re
from collections.abc import Iterable

from nbformat import NotebookNode

KINDS = ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")
MARKERS = {f"### {edge} {kind}" for edge in ("BEGIN", "END") for kind in KINDS}
SQUEEZED = {re.sub("[^A-Z]", "", marker) for marker in MARKERS}
LIKENESS = 0.8  # similarity of a line's letters to a marker's from which we assume a typo
TABLE = re.compile(r"<!-- points:begin -->(.*?)<!-- points:end -->", re.DOTALL)
TOTAL = re.compile(r"^Together ([\d.]+) points", re.MULTILINE)
MIN_INSIDE = 12  # characters: longer answer lines are also searched inside other lines
MIN_ON_PAGE = 20  # the same, for the pages of the built site


def where(name: str, index: int, cell: NotebookNode) -> str:
    """Return a cell's file, position and id for a message."""
    grade_id = grading(cell).get("grade_id")
    return f"{name}, cell {index + 1}" + (f" ({grade_id})" if grade_id else "")


def grading(cell: NotebookNode) -> dict:
    """Return the cell's nbgrader metadata, {} if it has none."""
    return cell.metadata.get("nbgrader", {})


def is_marker_like(line: str) -> bool:
    """Return whether a line was probably meant as a marker, even if misspelt."""
    letters = re.sub("[^A-Z]", "", line.upper())
    if any(
        marker in line.upper() for marker in (f"{e} {k}" for e in ("BEGIN", "END") for k in KINDS)
    ):
        return True
    if not line.lstrip().startswith("#"):
        return False
    likeness = (difflib.SequenceMatcher(None, letters, marker).ratio() for marker in SQUEEZED)
    return max(likeness) >= LIKENESS


def regions(source: str) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Return the marked regions of a cell as (kind, lines), and the problems of its markers."""
    found: list[tuple[str, list[str]]] = []
    problems, inside = [], None
    for line in source.split("\n"):
        text = line.strip()
        if text not in MARKERS:
            if is_marker_like(line):
                problems.append(
                    f"`{text}` looks like a marker with a typo: use one of "
                    + ", ".join(f"`{marker}`" for marker in sorted(MARKERS))
                )
            elif inside:
                found[-1][1].append(text)
            continue
        edge, kind = text[4:].split(" ", 1)
        if edge == "BEGIN" and inside is None:
            inside = kind
            found.append((kind, []))
        elif edge == "END" and inside == kind:
            inside = None
        else:
            problems.append(f"`{text}` is where no such region can {edge.lower()}")
    if inside:
        problems.append(f"`### BEGIN {inside}` has no `### END {inside}`")
    return found, problems


def check_markers(name: str, notebook: NotebookNode) -> list[str]:
    """Check for marker typos, misplaced regions and missing regions."""
    problems = []
    for index, cell in enumerate(notebook.cells):
        here, role = where(name, index, cell), grading(cell)
        found, wrong = regions(cell.source)
        kinds = {kind for kind, _ in found}
        test = role.get("grade") and not role.get("solution")
        if "SOLUTION" in kinds and not role.get("solution"):
            wrong.append("a solution is in a cell that is not an answer cell")
        if "HIDDEN TESTS" in kinds and not test:
            wrong.append("hidden tests are in a cell that is not a graded test cell")
        if role.get("solution") and "SOLUTION" not in kinds:
            wrong.append("this answer cell has no `### BEGIN SOLUTION` region")
        if test and "HIDDEN TESTS" not in kinds:
            wrong.append("this graded cell has no `### BEGIN HIDDEN TESTS` region")
        problems += [f"{here}: {sentence}." for sentence in wrong]
    return problems


def check_roles(name: str, notebook: NotebookNode) -> list[str]:
    """Check locks, points, and that each hidden test ends with the check of its own cell."""
    problems = []
    for index, cell in enumerate(notebook.cells):
        here, role = where(name, index, cell), grading(cell)
        if not role:
            continue
        locked, points = role.get("locked"), role.get("points")
        if role.get("solution") and locked is not False:
            problems.append(
                f"{here}: `locked` is {locked}; it must be false, because students write here."
            )
        if not role.get("solution") and locked is not True:
            problems.append(
                f"{here}: `locked` is {locked}; it must be true, because this is a test."
            )
        if role.get("grade") and not _is_number(points):
            problems.append(f"{here}: `points` is {points!r}; it must be a number.")
        call = f'check("{role.get("grade_id", "").removeprefix("test_")}", globals())'
        hidden = any(kind == "HIDDEN TESTS" for kind, _ in regions(cell.source)[0])
        if hidden and not cell.source.rstrip().endswith(f"\n{call}\n### END HIDDEN TESTS"):
            problems.append(f"{here}: the hidden test must end with the line `{call}`.")
    return problems


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_cells(name: str, notebook: NotebookNode) -> list[str]:
    """Check that `visible_<name>` and `test_<name>` follow every program-graded answer cell."""
    graded = [(i, cell) for i, cell in enumerate(notebook.cells) if grading(cell)]
    ids = [grading(cell).get("grade_id", "") for _, cell in graded]
    problems = []
    for position, (index, cell) in enumerate(graded):
        role, grade_id = grading(cell), ids[position]
        following = ids[position + 1 : position + 3]
        expected = [f"visible_{grade_id}", f"test_{grade_id}"]
        by_program = role.get("solution") and not role.get("grade")
        if by_program and following != expected:
            problems.append(
                f"{where(name, index, cell)}: the graded cells after an answer must be "
                f"`{expected[0]}` and `{expected[1]}`, found {following or 'none'}."
            )
    return problems


def check_ids(notebooks: dict[str, NotebookNode]) -> list[str]:
    """Check that each grade_id is unique in the whole course."""
    seen, problems = {}, []
    for name, notebook in notebooks.items():
        for index, cell in enumerate(notebook.cells):
            grade_id = grading(cell).get("grade_id")
            if grade_id in seen:
                first = seen[grade_id]
                problems.append(f"{where(name, index, cell)}: {first} already has this grade_id.")
            elif grade_id:
                seen[grade_id] = where(name, index, cell)
    return problems


def points_of(notebook: NotebookNode) -> dict[str, float]:
    """Return points by answer cell id; a test cell counts for the cell that it tests."""
    points = {}
    for role in map(grading, notebook.cells):
        if role.get("grade"):
            grade_id = role.get("grade_id", "")
            answer = grade_id if role.get("solution") else grade_id.removeprefix("test_")
            own = role.get("points")
            points[answer] = points.get(answer, 0.0) + (float(own) if _is_number(own) else 0.0)
    return points


def read_points(readme: str) -> dict[str, dict[str, float]]:
    """Return the README's table of points: notebook -> grade_id -> points."""
    points: dict[str, dict[str, float]] = {}
    for notebook, grade_id, value in _rows(readme):
        points.setdefault(notebook, {})[grade_id] = value
    return points


def check_table(readme: str) -> list[str]:
    """Check that the README's table has no contradicting rows and states the right total."""
    rows, problems = _rows(readme), []
    given: dict[tuple[str, str], float] = {}
    for notebook, grade_id, value in rows:
        first = given.setdefault((notebook, grade_id), value)
        if first != value:
            problems.append(
                f"README.md's table gives {grade_id} of {notebook} twice, "
                f"with {first:g} and with {value:g} points."
            )
    total, stated = sum(given.values()), TOTAL.search(readme)
    if not stated or float(stated[1]) != total:
        statement = f"says `{stated[0]}`" if stated else "states no total"
        problems.append(f"README.md {statement}; its table adds up to `Together {total:g} points`.")
    return problems


def _rows(readme: str) -> list[tuple[str, str, float]]:
    """Return the rows of the README's table: notebook, grade_id, points."""
    table = TABLE.search(readme)
    if not table:
        raise ValueError(
            "README.md has no points table between <!-- points:begin --> and <!-- points:end -->."
        )
    rows = []
    for line in table[1].strip().splitlines():
        cells = [cell.strip(" `*") for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and re.fullmatch(r"[\d.]+", cells[2]) and cells[0] and cells[1]:
            rows.append((cells[0], cells[1], float(cells[2])))
    return rows


def check_points(
    name: str, notebook: NotebookNode, table: dict[str, dict[str, float]]
) -> list[str]:
    """Check a notebook's points against the README's table, row by row."""
    number = name.split("/")[-1].split(".")[0]
    stated = next((rows for key, rows in table.items() if number.startswith(key)), {})
    found, problems = points_of(notebook), []
    for grade_id in sorted(stated.keys() | found.keys()):
        ours, theirs = found.get(grade_id), stated.get(grade_id)
        if ours != theirs:
            problems.append(
                f"{name} ({grade_id}): the notebook gives {_points(ours)}, "
                f"README.md's table says {_points(theirs)}."
            )
    return problems


def _points(value: float | None) -> str:
    return "no such cell" if value is None else f"{value:g} points"


def secrets(source: NotebookNode) -> dict[str, tuple[str, str]]:
    """Return hidden lines of two or more tokens: line without white space -> line, cell id."""
    found = {}
    for cell in source.cells:
        for _, lines in regions(cell.source)[0]:
            for line in lines:
                if len(re.findall(r"\w+|[^\w\s]", line)) >= 2:
                    found[squeeze(code_of(line))] = line, grading(cell).get("grade_id", "?")
    return found


def code_of(line: str) -> str:
    """Return a line without `return` and without a trailing comment."""
    return re.sub(r"\s+#.*", "", line.strip()).removeprefix("return ")


def squeeze(line: str) -> str:
    """Return a line without white space, so that other spacing does not matter."""
    return re.sub(r"\s", "", line)


def check_leaks(
    name: str, hidden: dict[str, tuple[str, str]], published: NotebookNode
) -> list[str]:
    """Find answers or hidden tests in a published notebook: sources, outputs, metadata.

    Lines of at least MIN_INSIDE characters are also found inside other lines, shorter ones only as
    whole lines.
    """
    places = [(where(name, index, cell), cell) for index, cell in enumerate(published.cells)]
    problems = []
    for here, place in [*places, (f"{name}, metadata", published.metadata)]:
        texts = _texts(place)
        whole = {squeeze(code_of(line)) for text in texts for line in text.split("\n")}
        squeezed = [squeeze(text) for text in texts]
        for secret, (line, answer) in hidden.items():
            inside = len(secret) >= MIN_INSIDE and any(secret in text for text in squeezed)
            if inside or secret in whole:
                problems.append(f"{here}: `{line}` is hidden in `{answer}`.")
    return problems


def check_pages(sources: Iterable[NotebookNode], pages: dict[str, str]) -> list[str]:
    """Find lines of answers or hidden tests, of at least MIN_ON_PAGE characters, in HTML pages.

    Lines that the notebooks also show outside such regions do not count.
    """
    hidden, shown = {}, ""
    for cell in (cell for source in sources for cell in source.cells):
        lines = [line for _, lines in regions(cell.source)[0] for line in lines]
        hidden |= {_plain(line): line for line in lines if len(line.strip()) >= MIN_ON_PAGE}
        own = set(lines)
        shown += _plain("".join(t for t in cell.source.split("\n") if t.strip() not in own))
    problems = []
    for name, page in pages.items():
        text = _plain(html.unescape(re.sub(r"<[^>]*>", "", page)))
        problems += [
            f"{name}: `{line}` is part of an answer or a hidden test."
            for plain, line in hidden.items()
            if plain in text and plain not in shown
        ]
    return problems


def _plain(text: str) -> str:
    """Return text without white space, quotes and Markdown's marks."""
    return re.sub(r"^\s*([-*#]+|\d+\.) |[\s`$*\"'‘’“”]|\\[()]", "", text)


def _texts(value: object) -> list[str]:
    """Return every string inside nested lists and dicts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []
