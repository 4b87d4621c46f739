"""Marks for other systems: one CSV of everything, Canvas, Moodle, Gradescope's results.json.

What is unknown is left out or left empty, never zero, and every field is safe to open in a
spreadsheet. A `roster` is what the other system itself exported (Canvas: the gradebook, Moodle:
the grading worksheet): its rows are kept, with their ids, and get the marks.
"""

import csv
import html
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.reports.explain import cell_text, explain, seconds_of
from autograder.reports.marks import ByHand, Column, Marks, Row, tabulate
from autograder.text import drop_controls
from mnistdiff.storage import write_atomically

KINDS = ("csv", "canvas", "moodle", "gradescope")
CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
MOODLE = ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum grade",
          "Grade can be changed", "Last modified (submission)", "Last modified (grade)",
          "Feedback comments"]  # fmt: skip
# Columns that name people, the most telling first: Canvas's own ID is nobody's name elsewhere.
UNIQUE = ["sis login id", "login", "username", "user name", "identifier", "sis user id",
          "id number", "email address", "e-mail address", "email", "e-mail", "id"]  # fmt: skip
IDENTITY = [*UNIQUE[:-1], "student", "full name", "name", "first name", "last name", "id"]


def export(
    kind: str,
    records: Iterable[dict[str, Any]],
    by_hand: ByHand,
    assignment: str,
    path: Path,
    roster: Path | None = None,
    penalties: Mapping[str, float] | None = None,
    column: str | None = None,
) -> list[str]:
    """Write marks in another system's format; what the person should know, in sentences.

    `by_hand` holds the points that people gave, by (student, grade_id), `penalties` those taken
    off for lateness, by student. `column` is the roster's that names people: by default the one
    that names the most. "gradescope" writes a folder, the others a file.
    """
    if kind not in KINDS:
        raise AutograderError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    records = list(records)
    marks = tabulate(records, by_hand, penalties)
    if kind == "gradescope":
        return _gradescope(marks, path)
    given = _read_roster(roster) if roster else None
    if kind == "csv":
        rows, said = _table(marks), []
    else:
        fill = _canvas if kind == "canvas" else _moodle
        rows, said = fill(marks, assignment, given, column)
    write_atomically(path, _csv(rows))
    return said


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([[safe(field) for field in row] for row in rows])
    return text.getvalue().encode()


def safe(field: object) -> str:
    """A field that no spreadsheet takes for a formula; numbers stay numbers, None is empty."""
    if field is None:
        return ""
    if isinstance(field, (int, float)):
        return number(field)
    text = drop_controls(str(field))
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])  # of double width, it counts in Japan
    return f"'{text}" if first in tuple("=+-@") and text.strip() != "-" else text


def number(value: float) -> str:
    """At most two decimals, which is all that Canvas and Moodle keep."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _table(marks: Marks) -> list[list[object]]:
    """Everything that is known, a row per student."""
    columns = [*marks.most]
    head = ["student", *(cell for _, cell in columns), *marks.notebooks]
    rows: list[list[object]] = [[*head, "late_penalty", "total", "max", "state", "reasons"]]
    most = sum(marks.most.values())
    for row in marks.rows:
        cells = [row.points.get(column) for column in columns]
        books = [row.of_notebook(name) for name in marks.notebooks]
        about = [row.penalty, row.total, most, row.state, "; ".join(row.reasons())]
        rows.append([row.student, *cells, *books, *about])
    return rows


def _canvas(
    marks: Marks, assignment: str, roster: list[dict[str, str]] | None, by: str | None
) -> tuple[list[list[object]], list[str]]:
    """Canvas's gradebook import. Who has no total yet has no row: Canvas takes an empty cell for
    an order to delete the mark that it has. Students are found by ID, login or name."""
    known = {row.student: row for row in marks.rows if row.total is not None}
    said = _left_out(marks)
    column = assignment
    if roster is not None:
        named = re.compile(rf"{re.escape(assignment)}(\s*\(\d+\))?$")
        column = next((name for name in roster[0] if named.match(name)), assignment)
        people, found = _match(roster, known, by)
        said += found
        lines = [[*(r.get(name, "") for name in CANVAS), known[s].total] for r, s in people]
    else:
        lines = [[name, "", "", name, "", row.total] for name, row in known.items()]
    top = ["    Points Possible", "", "", "", "", sum(marks.most.values())]
    return [[*CANVAS, column], top, *lines], said


def _left_out(marks: Marks) -> list[str]:
    out = [row.student for row in marks.rows if row.total is None]
    if not out:
        return []
    return [f"{len(out)} left out, for their total is not known yet: {', '.join(out)}"]


def _moodle(
    marks: Marks, assignment: str, roster: list[dict[str, str]] | None, by: str | None
) -> tuple[list[list[object]], list[str]]:
    """Moodle's grading worksheet; an empty grade changes nothing there."""
    known = {row.student: row for row in marks.rows}
    most = sum(marks.most.values())
    if roster is None:
        lines = [
            [_participant(name), name, "", "", row.total, most, "Yes", "-", "-", _feedback(row)]
            for name, row in known.items()
        ]
        return [MOODLE, *lines], [
            "Moodle finds people by the Identifier of its own worksheet, `Participant 123`: "
            "download the worksheet, and name it with --roster."
        ]
    people, said = _match(roster, known, by)
    head = [*roster[0]]
    head += [name for name in ("Grade", "Feedback comments") if name not in head]
    for line, student in people:
        total = known[student].total
        line["Grade"] = line.get("Grade", "") if total is None else number(total)
        line["Feedback comments"] = _feedback(known[student])
    return [head, *([line.get(name, "") for name in head] for line, _ in people)], said


def _participant(student: str) -> str:
    return f"Participant {student}" if student.isdigit() else student


def _feedback(row: Row) -> str:
    """Moodle takes this for HTML, and students wrote some of it."""
    text = explain(row.student, row.records.values(), row.points, row.penalty)
    return f"<pre>{html.escape(text, quote=False)}</pre>"


def _read_roster(path: Path) -> list[dict[str, str]]:
    """The rows of a file that another system exported."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AutograderError(f"{path} cannot be read as a roster ({error}).") from None
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # feedback is long
    try:
        rows = [row for row in csv.DictReader(io.StringIO(text)) if any(row.values())]
    except csv.Error as error:
        raise AutograderError(f"{path} cannot be read as a roster ({error}).") from None
    if not rows:
        raise AutograderError(f"{path} has no rows; export it again from Canvas or Moodle.")
    return [{(k or "").strip(): v or "" for k, v in row.items() if k} for row in rows]


def _match(
    roster: list[dict[str, str]], known: Mapping[str, Row], by: str | None
) -> tuple[list[tuple[dict[str, str], str]], list[str]]:
    """The roster's rows with the student that each names, in one column.

    One person's ID may be another's login: a column that names everyone counts, else a person
    says which does where two differ about a row.
    """
    columns = {c: c.casefold() for c in roster[0] if c.casefold() in IDENTITY}
    if by is not None:
        columns = {c: folded for c, folded in columns.items() if c == by}
    if not columns:
        raise AutograderError(
            f"the roster has no column that names people ({by or IDENTITY[0]}, say)."
        )
    named = {c: _students([line.get(c, "") for line in roster], known) for c in columns}
    trusted = sorted(columns, key=lambda c: IDENTITY.index(columns[c]))
    people = {c: set(named[c]) - {None} for c in trusted}
    column = max(trusted, key=lambda c: len(people[c]))
    rivals = [
        c for c in trusted if len(people[c]) == len(known) or len(people[column]) < len(known)
    ]
    for other in rivals:
        for one, two in zip(named[column], named[other], strict=True):
            if None not in (one, two) and one != two and columns[other] in UNIQUE:
                raise AutograderError(
                    f"one row of the roster is {one} in column {column}, and {two} in {other}: "
                    f"say which names your students, with --column {column!r}, for instance."
                )
    rows = [(line, name) for line, name in zip(roster, named[column], strict=True) if name]
    counts = Counter(name for _, name in rows)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise AutograderError(
            f"the roster has more than one row for {', '.join(twice)} (column {column})."
        )
    lost = sorted(set(known) - set(counts))
    said = [f"not in the roster: {', '.join(lost)}"] if lost else []
    return rows, [*said, f"{len(rows)} found in the roster by column {column}"]


def _students(fields: list[str], known: Mapping[str, Row]) -> list[str | None]:
    """The students whom a column's fields name: exactly, in another case, by number, by an address.

    What would name two students, or is the address of two people, names nobody.
    """
    exact = [unicodedata.normalize("NFC", field.strip()) for field in fields]
    by_fold = {name.casefold(): name for name in known}
    alike = Counter(map(str.casefold, known))
    before_at = Counter(text.casefold().split("@")[0] for text in exact)
    found: list[str | None] = []
    for text in exact:
        folded = text.casefold()
        forms = [folded, folded.removeprefix("participant ")]
        if before_at[local := folded.split("@")[0]] == 1:
            forms.append(local)
        one = next((by_fold[form] for form in forms if alike[form] == 1), None)
        found.append(text if text in known else one)
    return found


def _gradescope(marks: Marks, folder: Path) -> list[str]:
    """FOLDER/STUDENT/results.json, in the format of Gradescope's autograders.

    What a person decides, and has not yet, is left out: it can be marked there.
    """
    out = [row.student for row in marks.rows if row.state not in ("graded", "by hand", "missing")]
    for row in marks.rows:
        if row.student in out:
            continue
        if row.student in (".", "..") or "/" in row.student:
            raise AutograderError(f"{row.student!r} is no name for a folder.")
        records = row.records.values()
        result = {
            "score": round(max(0.0, row.so_far - row.penalty), 2),
            "tests": [_test(row, key, marks.most[key]) for key in marks.most if _known(row, key)],
            "output": "\n".join(row.reasons()),
            "visibility": "after_published",
            "stdout_visibility": "hidden",
            "execution_time": round(sum(map(seconds_of, records)), 3),
            "extra_data": {"student": row.student, "state": row.state},
        }
        text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(folder / row.student / "results.json", text.encode())
    return [f"{len(out)} left out, for they are not graded: {', '.join(out)}"] if out else []


def _known(row: Row, key: Column) -> bool:
    return row.points[key] is not None


def _test(row: Row, key: Column, most: float) -> dict[str, Any]:
    """One graded cell."""
    notebook, name = key
    record, points = row.records[notebook], row.points[key] or 0.0
    cells = record.get("verdict", {}).get("cells", [])
    cell = next((c for c in cells if c["grade_id"] == name), {})
    spent = sum(check.get("seconds", 0.0) for check in cell.get("checks", []))
    return {
        "name": f"{notebook}: {name.removeprefix('test_')}",
        "number": name,
        "score": round(points, 2),
        "max_score": most,
        "status": "passed" if points >= most else "failed",
        "output": cell_text(cell) if cell else drop_controls(record.get("reason", "")),
        "visibility": "after_published",
        "execution_time": round(spent, 4),
    }
