"""Sentences about what is wrong in a notebook: markers, cells, points, answers that leak."""

import difflib
import html
import re
from collections.abc import Iterable

from nbformat import NotebookNode

KINDS = ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")
MARKERS = {f"### {edge} {kind}" for edge in ("BEGIN", "END") for kind in KINDS}
SQUEEZED = {re.sub("[^A-Z]", "", marker) for marker in MARKERS}
LIKENESS = 0.8  # of a line to a marker, letters only: above it, a typo is the likely reason
TABLE = re.compile(r"<!-- points:begin -->(.*?)<!-- points:end -->", re.DOTALL)
TOTAL = re.compile(r"^Together ([\d.]+) points", re.MULTILINE)
WITHIN = 12  # characters of an answer's line from which it is searched for inside other lines
ON_A_PAGE = 20  # the same, for the pages of the built site


def where(name: str, index: int, cell: NotebookNode) -> str:
    """Name a cell for a person: file, position and id."""
    grade_id = grading(cell).get("grade_id")
    return f"{name}, cell {index + 1}" + (f" ({grade_id})" if grade_id else "")


def grading(cell: NotebookNode) -> dict:
    """The cell's nbgrader metadata, {} if it has none."""
    return cell.metadata.get("nbgrader", {})


def is_marker_like(line: str) -> bool:
    """Whether a line was probably meant as a marker, however it is spelt."""
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
    """The marked regions of a cell as (kind, lines), and what is wrong with its markers."""
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
            problems.append(f"`{text}` stands where no such region may {edge.lower()}")
    if inside:
        problems.append(f"`### BEGIN {inside}` has no `### END {inside}`")
    return found, problems


def check_markers(name: str, notebook: NotebookNode) -> list[str]:
    """Marker typos, and regions in cells that must not hold them or must and do not."""
    problems = []
    for index, cell in enumerate(notebook.cells):
        here, role = where(name, index, cell), grading(cell)
        found, wrong = regions(cell.source)
        kinds = {kind for kind, _ in found}
        test = role.get("grade") and not role.get("solution")
        if "SOLUTION" in kinds and not role.get("solution"):
            wrong.append("a solution stands in a cell that is no answer cell")
        if "HIDDEN TESTS" in kinds and not test:
            wrong.append("hidden tests stand in a cell that is no graded test cell")
        if role.get("solution") and "SOLUTION" not in kinds:
            wrong.append("this answer cell has no `### BEGIN SOLUTION` region")
        if test and "HIDDEN TESTS" not in kinds:
            wrong.append("this graded cell has no `### BEGIN HIDDEN TESTS` region")
        problems += [f"{here}: {sentence}." for sentence in wrong]
    return problems


def check_roles(name: str, notebook: NotebookNode) -> list[str]:
    """Locks, points that are numbers, and a hidden test that ends with its own cell's check."""
    problems = []
    for index, cell in enumerate(notebook.cells):
        here, role = where(name, index, cell), grading(cell)
        if not role:
            continue
        locked, points = role.get("locked"), role.get("points")
        if role.get("solution") and locked is not False:
            problems.append(f"{here}: `locked` is {locked}; students write here, so it is false.")
        if not role.get("solution") and locked is not True:
            problems.append(f"{here}: `locked` is {locked}; a test is locked, so it is true.")
        if role.get("grade") and not _is_number(points):
            problems.append(f"{here}: `points` is {points!r}, expected a number.")
        call = f'check("{role.get("grade_id", "").removeprefix("test_")}", globals())'
        hidden = any(kind == "HIDDEN TESTS" for kind, _ in regions(cell.source)[0])
        if hidden and not cell.source.rstrip().endswith(f"\n{call}\n### END HIDDEN TESTS"):
            problems.append(f"{here}: the hidden test must end with the line `{call}`.")
    return problems


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_cells(name: str, notebook: NotebookNode) -> list[str]:
    """Every program-graded answer cell is followed by `visible_<name>` and `test_<name>`."""
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
    """A grade_id names one cell in the whole course."""
    seen, problems = {}, []
    for name, notebook in notebooks.items():
        for index, cell in enumerate(notebook.cells):
            grade_id = grading(cell).get("grade_id")
            if grade_id in seen:
                first = seen[grade_id]
                problems.append(f"{where(name, index, cell)}: the grade_id is taken by {first}.")
            elif grade_id:
                seen[grade_id] = where(name, index, cell)
    return problems


def points_of(notebook: NotebookNode) -> dict[str, float]:
    """Points by the id of the answer cell; a test cell counts for the cell that it tests."""
    points = {}
    for role in map(grading, notebook.cells):
        if role.get("grade"):
            grade_id = role.get("grade_id", "")
            answer = grade_id if role.get("solution") else grade_id.removeprefix("test_")
            own = role.get("points")
            points[answer] = points.get(answer, 0.0) + (float(own) if _is_number(own) else 0.0)
    return points


def read_points(readme: str) -> dict[str, dict[str, float]]:
    """The README's table of points: notebook -> grade_id -> points."""
    points: dict[str, dict[str, float]] = {}
    for notebook, grade_id, value in _rows(readme):
        points.setdefault(notebook, {})[grade_id] = value
    return points


def check_table(readme: str) -> list[str]:
    """No row of the README's table stands twice, and the total below it is the rows' sum."""
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
        said = f"says `{stated[0]}`" if stated else "states no total"
        problems.append(f"README.md {said}; its table adds up to `Together {total:g} points`.")
    return problems


def _rows(readme: str) -> list[tuple[str, str, float]]:
    """The rows of the README's table: notebook, grade_id, points."""
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
    """The points in a notebook's cells are those of the README's table, row by row."""
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
    """What students must not see, squeezed -> its line and cell; one token alone does not count."""
    found = {}
    for cell in source.cells:
        for _, lines in regions(cell.source)[0]:
            for line in lines:
                if len(re.findall(r"\w+|[^\w\s]", line)) >= 2:
                    found[squeeze(code_of(line))] = line, grading(cell).get("grade_id", "?")
    return found


def code_of(line: str) -> str:
    """A line without `return` and without the comment that ends it."""
    return re.sub(r"\s+#.*", "", line.strip()).removeprefix("return ")


def squeeze(line: str) -> str:
    """A line without its white space, so that other spacing hides nothing."""
    return re.sub(r"\s", "", line)


def check_leaks(
    name: str, hidden: dict[str, tuple[str, str]], published: NotebookNode
) -> list[str]:
    """Answers or hidden tests in a published notebook: sources, outputs, metadata.

    A line of at least WITHIN characters is found inside others too, a shorter one as a whole line.
    """
    places = [(where(name, index, cell), cell) for index, cell in enumerate(published.cells)]
    problems = []
    for here, place in [*places, (f"{name}, metadata", published.metadata)]:
        texts = _texts(place)
        whole = {squeeze(code_of(line)) for text in texts for line in text.split("\n")}
        squeezed = [squeeze(text) for text in texts]
        for secret, (line, answer) in hidden.items():
            inside = len(secret) >= WITHIN and any(secret in text for text in squeezed)
            if inside or secret in whole:
                problems.append(f"{here}: `{line}` is hidden in `{answer}`.")
    return problems


def check_pages(sources: Iterable[NotebookNode], pages: dict[str, str]) -> list[str]:
    """Lines of answers or hidden tests, of at least ON_A_PAGE characters, in pages of HTML.

    A line that the notebooks also show outside such regions is no secret.
    """
    hidden, shown = {}, ""
    for cell in (cell for source in sources for cell in source.cells):
        lines = [line for _, lines in regions(cell.source)[0] for line in lines]
        hidden |= {_plain(line): line for line in lines if len(line.strip()) >= ON_A_PAGE}
        own = set(lines)
        shown += _plain("".join(t for t in cell.source.split("\n") if t.strip() not in own))
    problems = []
    for name, page in pages.items():
        text = _plain(html.unescape(re.sub(r"<[^>]*>", "", page)))
        problems += [
            f"{name}: `{line}` is an answer's or a hidden test's."
            for plain, line in hidden.items()
            if plain in text and plain not in shown
        ]
    return problems


def _plain(text: str) -> str:
    """Text without white space and Markdown's marks of lists, code, formulas, stress, quotes."""
    return re.sub(r"^\s*([-*#]+|\d+\.) |[\s`$*\"'‘’“”]|\\[()]", "", text)


def _texts(value: object) -> list[str]:
    """Every string inside nested lists and dicts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []
