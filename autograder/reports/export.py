"""Export marks: a CSV file with everything, and the formats of Canvas, Moodle and Gradescope.

Unknown marks are left out or left empty, never zero, and every field is safe to open in a
spreadsheet. A `roster` is the file that the other system exported: Canvas's gradebook, or Moodle's
grading worksheet. Its rows and ids are kept, and the marks are added. Whoever is in it and handed
in nothing gets zero, unless a mark is there already.
"""

import html
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autograder.csv_files import Format, written
from autograder.errors import AutograderError
from autograder.gradebook.records import cells_of, total_seconds
from autograder.reports.explain import cell_text, explain
from autograder.reports.marks import Column, Marks, Row
from autograder.reports.roster import Matched, Roster, match, read_roster
from autograder.text import drop_controls, one_line
from mnistdiff.storage import write_atomically

KINDS = ("csv", "canvas", "moodle", "gradescope")
CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
MOODLE = ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum grade",
          "Grade can be changed", "Last modified (submission)", "Last modified (grade)",
          "Feedback comments"]  # fmt: skip
MARKS = {"moodle": "Grade"}  # the column for marks; elsewhere it has the assignment's name
FEEDBACK = "Feedback comments"
ABSENT = "nothing was handed in"

Rows = Sequence[Sequence[object]]
Export = tuple[Rows, list[str]]  # rows to write, and messages


class Target(NamedTuple):
    """Where marks go: the roster, and the columns that the user chose; None chooses the best."""

    roster: Path | None = None
    column: str | None = None  # that identifies the students
    into: str | None = None  # that receives the marks


BEST = Target()


def export(
    kind: str, marks: Marks, assignment: str, path: Path, target: Target = BEST
) -> list[str]:
    """Write the marks in another system's format, and return messages for the user.

    "gradescope" writes a folder, the others a file, in the encoding and with the separator of the
    roster. Raises AutograderError if the roster cannot be read, or does not identify the students.
    """
    if kind not in KINDS:
        raise AutograderError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    if kind == "gradescope":
        return _gradescope(marks, path)
    if target.roster is None:
        rows, messages = BARE[kind](marks, assignment)
        form = Format()
    else:
        roster = read_roster(target.roster)
        people = match(roster, [row.student for row in marks.rows], target.column)
        rows, messages = FILL[kind](
            marks, roster, people, target.into or MARKS.get(kind, assignment)
        )
        form = Format() if kind == "csv" else roster.form
        messages = [*messages, *_about_zeros(people)]
    write_atomically(path, written([[safe(field) for field in row] for row in rows], form))
    return messages


def _zeros(people: Matched) -> list[dict[str, str]]:
    """Return the rows that get zero: none while the row of a student has not been found."""
    return [] if people.lost else people.absent


def _about_zeros(people: Matched) -> list[str]:
    if not people.absent:
        return []
    if people.lost:
        text = "They get no zero, because one of them may be a student who was not found in it."
        return [f"{text} Rename the folder in submitted/, or choose another --column."]
    return ["They get zero, unless a mark is there already."]


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


def _table(marks: Marks, _: str) -> Export:
    """Return a table of everything that is known, a row per student."""
    columns = [*marks.most]
    head = ["student", *(cell for _, cell in columns), *marks.notebooks]
    rows: list[list[object]] = [[*head, "late_penalty", "total", "max", "state", "reasons"]]
    most = sum(marks.most.values())
    for row in marks.rows:
        cells = [row.points.get(column) for column in columns]
        books = [row.of_notebook(name) for name in marks.notebooks]
        about = [row.penalty, row.total, most, row.state, one_line("; ".join(row.reasons()))]
        rows.append([row.student, *cells, *books, *about])
    return rows, []


def _whole_table(marks: Marks, roster: Roster, people: Matched, assignment: str) -> Export:
    """Return the table with a row of zeros for whoever handed in nothing."""
    rows, _ = _table(marks, assignment)
    number = len(marks.most) + len(marks.notebooks) + 2  # the penalty and the total, too
    about = [*[0.0] * number, sum(marks.most.values()), "missing", ABSENT]
    names = [line[people.column].strip() for line in _zeros(people)]
    return [*rows, *([name, *about] for name in names)], people.messages()


def _canvas(marks: Marks, assignment: str) -> Export:
    """Return the rows of Canvas's gradebook import, and messages.

    A student without a total has no row: Canvas would delete the mark that it has.
    """
    known = [row for row in marks.rows if row.total is not None]
    lines = [[row.student, "", "", row.student, "", row.total] for row in known]
    return [*_canvas_head(marks, assignment), *lines], _left_out(marks)


def _canvas_head(marks: Marks, column: str) -> Rows:
    return [
        [*CANVAS, column],
        ["    Points Possible", "", "", "", "", sum(marks.most.values())],
    ]


def _filled_canvas(marks: Marks, roster: Roster, people: Matched, name: str) -> Export:
    """Return the rows of Canvas's own export that get a mark."""
    column, added = _mark_column(roster, name)
    totals = {row.student: row.total for row in marks.rows}
    lines = [(line, totals[s]) for line, s in people.found if totals[s] is not None]
    lines += [(line, 0.0) for line in _zeros(people) if not line.get(column, "").strip()]
    rows = [[*(line.get(name, "") for name in CANVAS), total] for line, total in lines]
    head = _canvas_head(marks, column)
    return [*head, *rows], [*_left_out(marks), *people.messages(), *added]


def _mark_column(roster: Roster, name: str) -> tuple[str, list[str]]:
    """Return the roster's column of this name, maybe with Canvas's number, and a message if new.

    Raises AutograderError if two columns have the name.
    """
    named = re.compile(rf"{re.escape(name)}(\s*\(\d+\))?", re.IGNORECASE)
    found = [column for column in roster.head if named.fullmatch(column)]
    exact = [column for column in found if column == name]
    if len(exact or found) > 1:
        raise AutograderError(
            f"the roster has {len(found)} columns for the marks: {', '.join(found)}. "
            "Choose one with --into."
        )
    if found:
        return (exact or found)[0], []
    return name, [
        f"the roster has no column {name!r}: it was added. To fill one of its own, name it with "
        f"--into: {', '.join(roster.head)}"
    ]


def _left_out(marks: Marks) -> list[str]:
    out = [row.student for row in marks.rows if row.total is None]
    if not out:
        return []
    return [f"{len(out)} left out because their total is not known yet: {', '.join(out)}"]


def _moodle(marks: Marks, _: str) -> Export:
    """Return the rows of a grading worksheet, where an empty grade changes nothing."""
    most = sum(marks.most.values())
    lines = [
        [_participant(row.student), row.student, "", "", row.total, most, "Yes", "-", "-",
         _feedback(marks, row)]
        for row in marks.rows
    ]  # fmt: skip
    return [MOODLE, *lines], [
        "Moodle identifies students by the Identifier in its own worksheet, `Participant 123`: "
        "download the worksheet, and name it with --roster."
    ]


def _filled_moodle(marks: Marks, roster: Roster, people: Matched, name: str) -> Export:
    """Return the rows of Moodle's own worksheet with grades and feedback."""
    column, added = _mark_column(roster, name)
    feedback = next((c for c in roster.head if c.casefold().startswith("feedback")), FEEDBACK)
    known = {row.student: row for row in marks.rows}
    for line, student in people.found:
        total = known[student].total
        line[column] = line.get(column, "") if total is None else number(total)
        line[feedback] = _feedback(marks, known[student])
    for line in _zeros(people):
        if not line.get(column, "").strip(" -"):
            line |= {column: number(0.0), feedback: f"<pre>{ABSENT}</pre>"}
    head = [*roster.head, *(c for c in (column, feedback) if c not in roster.head)]
    filled = [*(line for line, _ in people.found), *_zeros(people)]
    lines = [[line.get(name, "") for name in head] for line in filled]
    return [head, *lines], [*people.messages(), *added]


def _participant(student: str) -> str:
    return f"Participant {student}" if student.isdigit() else student


def _feedback(marks: Marks, row: Row) -> str:
    """Return a student's feedback, escaped: Moodle reads HTML, and students wrote parts of this."""
    return f"<pre>{html.escape(explain(row, marks.most), quote=False)}</pre>"


BARE = {"csv": _table, "canvas": _canvas, "moodle": _moodle}
FILL = {"csv": _whole_table, "canvas": _filled_canvas, "moodle": _filled_moodle}


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
            "score": round(row.after_penalty(row.so_far), 2),
            "tests": [_test(row, key, marks.most[key]) for key in marks.most if _known(row, key)],
            "output": "\n".join(map(one_line, row.reasons())),
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
