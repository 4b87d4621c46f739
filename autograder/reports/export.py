"""Export marks: a CSV file with everything, and the formats of Canvas, Moodle and Gradescope.

Unknown marks are left out or left empty, never zero, and every field is safe to open in a
spreadsheet. A `roster` is the file that the other system exported: Canvas's gradebook, or Moodle's
grading worksheet. Its rows and ids are kept, and the marks are added.
"""

import csv
import html
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.gradebook.records import Record, cells_of, total_seconds
from autograder.reports.explain import cell_text, explain
from autograder.reports.marks import ByHand, Column, Marks, Row, tabulate
from autograder.text import drop_controls
from mnistdiff.storage import write_atomically

KINDS = ("csv", "canvas", "moodle", "gradescope")
CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
MOODLE = ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum grade",
          "Grade can be changed", "Last modified (submission)", "Last modified (grade)",
          "Feedback comments"]  # fmt: skip
# Columns that identify people, the most reliable first; Canvas's own ID is used nowhere else.
UNIQUE = ["sis login id", "login", "username", "user name", "identifier", "sis user id",
          "id number", "email address", "e-mail address", "email", "e-mail", "id"]  # fmt: skip
IDENTITY = [*UNIQUE[:-1], "student", "full name", "name", "first name", "last name", "id"]

Rows = Sequence[Sequence[object]]
Export = tuple[Rows, list[str]]  # rows to write, and messages


def export(
    kind: str,
    records: Iterable[Record],
    by_hand: ByHand,
    assignment: str,
    path: Path,
    roster: Path | None = None,
    penalties: Mapping[str, float] | None = None,
    column: str | None = None,
) -> list[str]:
    """Write the marks in another system's format, and return messages for the user.

    `by_hand` holds the points that people gave, by (student, grade_id); `penalties` holds the late
    penalties by student. `column` is the roster's column that identifies the students; by default
    it is the one that identifies the most. "gradescope" writes a folder, the others a file.
    Raises AutograderError if the roster cannot be read, or does not identify the students.
    """
    if kind not in KINDS:
        raise AutograderError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    records = list(records)
    marks = tabulate(records, by_hand, penalties)
    if kind == "gradescope":
        return _gradescope(marks, path)
    given = _read_roster(roster) if roster else None
    if kind == "csv":
        rows, messages = _table(marks), []
    else:
        fill = _canvas if kind == "canvas" else _moodle
        rows, messages = fill(marks, assignment, given, column)
    write_atomically(path, _csv(rows))
    return messages


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([[safe(field) for field in row] for row in rows])
    return text.getvalue().encode()


def safe(field: object) -> str:
    """Return a field that no spreadsheet reads as a formula; None becomes empty."""
    if field is None:
        return ""
    if isinstance(field, (int, float)):
        return number(field)
    text = drop_controls(str(field))
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])  # double-width signs count, too
    return f"'{text}" if first in tuple("=+-@") and text.strip() != "-" else text


def number(value: float) -> str:
    """Return a number with at most two decimals; Canvas and Moodle keep no more."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _table(marks: Marks) -> Rows:
    """Return a table of everything that is known, a row per student."""
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
) -> Export:
    """Return the rows of Canvas's gradebook import, and messages.

    A student without a total has no row: Canvas would delete the mark that it has.
    """
    known = {row.student: row for row in marks.rows if row.total is not None}
    messages = _left_out(marks)
    column = assignment
    if roster is not None:
        named = re.compile(rf"{re.escape(assignment)}(\s*\(\d+\))?$")
        column = next((name for name in roster[0] if named.match(name)), assignment)
        people, found = _match(roster, known, by)
        messages += found
        lines = [[*(r.get(name, "") for name in CANVAS), known[s].total] for r, s in people]
    else:
        lines = [[name, "", "", name, "", row.total] for name, row in known.items()]
    top = ["    Points Possible", "", "", "", "", sum(marks.most.values())]
    return [[*CANVAS, column], top, *lines], messages


def _left_out(marks: Marks) -> list[str]:
    out = [row.student for row in marks.rows if row.total is None]
    if not out:
        return []
    return [f"{len(out)} left out because their total is not known yet: {', '.join(out)}"]


def _moodle(
    marks: Marks, assignment: str, roster: list[dict[str, str]] | None, by: str | None
) -> Export:
    """Return the rows of Moodle's grading worksheet, where an empty grade changes nothing."""
    known = {row.student: row for row in marks.rows}
    most = sum(marks.most.values())
    if roster is None:
        lines = [
            [_participant(name), name, "", "", row.total, most, "Yes", "-", "-", _feedback(row)]
            for name, row in known.items()
        ]
        return [MOODLE, *lines], [
            "Moodle identifies students by the Identifier in its own worksheet, `Participant 123`: "
            "download the worksheet, and name it with --roster."
        ]
    people, messages = _match(roster, known, by)
    head = [*roster[0]]
    head += [name for name in ("Grade", "Feedback comments") if name not in head]
    for line, student in people:
        total = known[student].total
        line["Grade"] = line.get("Grade", "") if total is None else number(total)
        line["Feedback comments"] = _feedback(known[student])
    return [head, *([line.get(name, "") for name in head] for line, _ in people)], messages


def _participant(student: str) -> str:
    return f"Participant {student}" if student.isdigit() else student


def _feedback(row: Row) -> str:
    """Return a student's feedback, escaped: Moodle reads HTML, and students wrote parts of this."""
    text = explain(row.student, row.records.values(), row.points, row.penalty)
    return f"<pre>{html.escape(text, quote=False)}</pre>"


def _read_roster(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file that another system exported."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AutograderError(f"{path} cannot be read as a roster ({error}).") from None
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # feedback may be long
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
    """Return the roster's rows that one column identifies, with their students, and messages.

    One person's ID may be another's login. A column that identifies everyone is used; otherwise
    the user must choose if two columns disagree about a row.
    """
    columns = {c: c.casefold() for c in roster[0] if c.casefold() in IDENTITY}
    if by is not None:
        columns = {c: folded for c, folded in columns.items() if c == by}
    if not columns:
        raise AutograderError(
            f"the roster has no column that names people, such as {by or IDENTITY[0]!r}. Export it "
            "again, or name the column with --column."
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
                    f"one row of the roster is {one} by column {column}, and {two} by {other}. "
                    f"Name the column that identifies your students: --column {column!r}, or the "
                    "other."
                )
    rows = [(line, name) for line, name in zip(roster, named[column], strict=True) if name]
    counts = Counter(name for _, name in rows)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise AutograderError(
            f"the roster has more than one row for {', '.join(twice)} (column {column}). "
            "Remove the others, or name another column with --column."
        )
    lost = sorted(set(known) - set(counts))
    messages = [f"not in the roster: {', '.join(lost)}"] if lost else []
    return rows, [*messages, f"{len(rows)} found in the roster by column {column}"]


def _students(fields: list[str], known: Mapping[str, Row]) -> list[str | None]:
    """Return the student whom each field of a column names, or None.

    A field may differ in case, begin with "Participant ", or be an address. A field that could name
    two students, and an address whose name two people share, name nobody.
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
    """Write FOLDER/STUDENT/results.json in the format of Gradescope's autograders.

    Answers that a person still has to mark are left out: they can be marked there.
    """
    out = [row.student for row in marks.rows if row.state not in ("graded", "by hand", "missing")]
    for row in marks.rows:
        if row.student in out:
            continue
        if row.student in (".", "..") or "/" in row.student:
            raise AutograderError(f"{row.student!r} cannot be the name of a folder: rename it.")
        records = row.records.values()
        result = {
            "score": round(max(0.0, row.so_far - row.penalty), 2),
            "tests": [_test(row, key, marks.most[key]) for key in marks.most if _known(row, key)],
            "output": "\n".join(row.reasons()),
            "visibility": "after_published",
            "stdout_visibility": "hidden",
            "execution_time": round(sum(map(total_seconds, records)), 3),
            "extra_data": {"student": row.student, "state": row.state},
        }
        text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(folder / row.student / "results.json", text.encode())
    return [f"{len(out)} left out because they are not graded: {', '.join(out)}"] if out else []


def _known(row: Row, key: Column) -> bool:
    return row.points[key] is not None


def _test(row: Row, key: Column, most: float) -> dict[str, Any]:
    """Return one graded cell as a test of Gradescope's."""
    notebook, name = key
    record, points = row.records[notebook], row.points[key] or 0.0
    cell = next((c for c in cells_of(record) if c["grade_id"] == name), None)
    spent = sum(check["seconds"] for check in cell["checks"]) if cell else 0.0
    return {
        "name": f"{notebook}: {name.removeprefix('test_')}",
        "number": name,
        "score": round(points, 2),
        "max_score": most,
        "status": "passed" if points >= most else "failed",
        "output": cell_text(cell) if cell else drop_controls(str(record.get("reason", ""))),
        "visibility": "after_published",
        "execution_time": round(spent, 4),
    }
