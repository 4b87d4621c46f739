"""Explain a student's marks in plain text, for the student and for a mail to them."""

import textwrap
from collections.abc import Mapping

from autograder.gradebook.records import (
    CellResult,
    CheckResult,
    GradedRecord,
    cells_of,
    notes_of,
    restarts_of,
    seconds_of,
    total_seconds,
)
from autograder.reports.marks import Column, Row
from autograder.text import one_line

WIDTH = 96
STATES = {
    "by hand": "to be marked by a person",
    "blank": "left blank",
    "ended": "its code ended the notebook's process",
    "not reached": "not reached",
}
AGAIN = "a person must look at it again: the answer has changed since it was marked by hand"


def explain(row: Row, most: Mapping[Column, float]) -> str:
    """Return an explanation of one student's marks: every notebook, cell by cell.

    `most` holds the points of every cell that students were given.
    """
    head = f"{one_line(row.student)}: {_total(row, most)}"
    head += f"; minus {row.penalty:g} for lateness" if row.penalty else ""
    return "\n\n".join([head, *(_notebook(row, name) for name in sorted(row.records))])


def _total(row: Row, most: Mapping[Column, float]) -> str:
    if not row.records:
        return "nothing was graded"
    known = sum(most[key] for key, points in row.points.items() if points is not None)
    total = f"{row.so_far:g} of {known:g} points"
    if rest := sum(most[key] for key in row.to_mark):
        total += f", {rest:g} more to be marked by a person"
    other = [f"{name} is {r['state']}" for name, r in row.records.items() if r["state"] != "graded"]
    waiting = [f"{name} is not graded yet" for name in row.waiting]
    return "; ".join([total, *sorted(other + waiting)])


def _notebook(row: Row, notebook: str) -> str:
    record, name = row.records[notebook], one_line(notebook)
    received = f", received {record['received']}" if record.get("received") else ""
    if record["state"] != "graded":
        return _wrap(f"{name}: {record['state']}{received}: {record.get('reason', '')}", "")
    lines = [f"{name}{received}"]
    for cell in cells_of(record):
        lines += _cell(cell, row.points.get((notebook, cell["grade_id"])))
    lines += [_wrap(f"{note['kind']}: {note['text']}", "  ! ") for note in notes_of(record)]
    return "\n".join([*lines, f"  {_timing(record)}"])


def _cell(cell: CellResult, points: float | None) -> list[str]:
    """Return the lines about one cell; a person's mark replaces "to be marked by a person"."""
    score = "-" if points is None else f"{points:g}"
    head = f"  {cell['grade_id'].removeprefix('test_')}: {score} of {cell['max']:g}"
    text = cell_text(cell)
    if points is None and cell["points"] is not None:
        text = f"{AGAIN}\n{text}"
    elif points != cell["points"]:
        text = "" if cell["state"] == "by hand" else f"marked by a person\n{text}"
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
    return "\n".join(map(one_line, lines))


def _timing(record: GradedRecord) -> str:
    parts = ", ".join(f"{k} {v:.2f}" for k, v in seconds_of(record).items() if k != "total")
    restarts = restarts_of(record)
    again = f", started again {restarts} times" if restarts else ""
    return f"took {total_seconds(record):.2f} s ({parts}){again}"


def _wrap(text: str, indent: str) -> str:
    """Return the text wrapped to WIDTH, with the other lines indented more than any first line."""
    return textwrap.fill(
        one_line(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )
