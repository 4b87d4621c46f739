"""Explain a student's marks in plain text, for the student and for a mail to them."""

import textwrap
from collections.abc import Iterable, Mapping

from autograder.gradebook.records import (
    CellResult,
    CheckResult,
    GradedRecord,
    Record,
    cells_of,
    notes_of,
    restarts_of,
    seconds_of,
    total_seconds,
)
from autograder.reports.marks import Column, newest
from autograder.text import drop_controls

WIDTH = 96
STATES = {
    "by hand": "to be marked by a person",
    "blank": "left blank",
    "ended": "its code ended the notebook's process",
    "not reached": "not reached",
}
Points = Mapping[Column, float | None]


def explain(
    student: str, records: Iterable[Record], points: Points | None = None, penalty: float = 0.0
) -> str:
    """Return an explanation of one student's marks: every notebook, cell by cell.

    `points` replace the automatic ones; `penalty` is the late penalty.
    """
    records = [record for record in newest(records) if record["student"] == student]
    parts = [_notebook(record, points or {}) for record in records]
    head = f"{drop_controls(student)}: {_total(records, points or {})}"
    head += f"; minus {penalty:g} for lateness" if penalty else ""
    return "\n\n".join([head, *parts])


def _total(records: list[Record], points: Points) -> str:
    if not records:
        return "nothing was graded"
    pairs = [
        (_points(r, cell, points), float(cell["max"])) for r in records for cell in cells_of(r)
    ]
    known = [(mine, most) for mine, most in pairs if mine is not None]
    total = f"{sum(p for p, _ in known):g} of {sum(m for _, m in known):g} points"
    if rest := sum(most for mine, most in pairs if mine is None):
        total += f", {rest:g} more to be marked by a person"
    other = [f"{r['notebook']} is {r['state']}" for r in records if r["state"] != "graded"]
    return "; ".join([total, *other])


def _points(record: Record, cell: CellResult, points: Points) -> float | None:
    given = points.get((record["notebook"], cell["grade_id"]))
    return cell["points"] if given is None else given


def _notebook(record: Record, points: Points) -> str:
    name = drop_controls(record["notebook"])
    received = f", received {record['received']}" if record.get("received") else ""
    if record["state"] != "graded":
        return _wrap(f"{name}: {record['state']}{received}: {record.get('reason', '')}", "")
    lines = [f"{name}{received}"]
    for cell in cells_of(record):
        lines += _cell(cell, _points(record, cell, points))
    lines += [_wrap(f"{note['kind']}: {note['text']}", "  ! ") for note in notes_of(record)]
    return "\n".join([*lines, f"  {_timing(record)}"])


def _cell(cell: CellResult, points: float | None) -> list[str]:
    """Return the lines about one cell; a person's mark replaces "to be marked by a person"."""
    score = "-" if points is None else f"{points:g}"
    head = f"  {cell['grade_id'].removeprefix('test_')}: {score} of {cell['max']:g}"
    by_person = points is not None and points != cell["points"]
    text = "" if by_person and cell["state"] == "by hand" else cell_text(cell)
    if by_person and cell["state"] != "by hand":
        text = f"marked by a person\n{text}"
    return [head, *(_wrap(line, "    ") for line in text.split("\n") if line)]


def cell_text(cell: CellResult) -> str:
    """Return the feedback on one cell: a line for each passed check, and each hint once."""
    lines = [] if cell["state"] == "judged" else [STATES.get(cell["state"], cell["state"])]
    hints: dict[str, list[CheckResult]] = {}
    for check in cell.get("checks", []):
        if check["passed"]:
            lines.append(f"+ {check['property']} ({check['points']:g})")
        else:
            hints.setdefault(check["hint"], []).append(check)
    for hint, group in hints.items():
        missed = sum(check["points"] for check in group)
        whole = len(group) == len(cell["checks"])
        named = "everything" if whole else "; ".join(check["property"] for check in group)
        lines.append(f"- {named} (0 of {missed:g}): {hint}")
    if not cell.get("checks"):
        lines += [line for line in cell.get("lines", []) if line not in lines]
    return drop_controls("\n".join(lines))


def _timing(record: GradedRecord) -> str:
    parts = ", ".join(f"{k} {v:.2f}" for k, v in seconds_of(record).items() if k != "total")
    restarts = restarts_of(record)
    again = f", started again {restarts} times" if restarts else ""
    return f"took {total_seconds(record):.2f} s ({parts}){again}"


def _wrap(text: str, indent: str) -> str:
    """Return the text wrapped to WIDTH, with the other lines indented below the first."""
    return textwrap.fill(
        drop_controls(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * (len(indent) + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
