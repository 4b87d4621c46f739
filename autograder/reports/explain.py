"""Why a student has these marks, in plain text: for the student, and for a mail to them."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from autograder.reports.marks import Column, newest
from autograder.text import drop_controls

WIDTH = 96
WAITING = {
    "by hand": "a person decides",
    "blank": "left blank",
    "ended": "its code ended the notebook's process",
    "not reached": "not reached",
}


def seconds_of(record: dict[str, Any]) -> float:
    """How long a notebook took, start of its sandbox and checks included."""
    return float(record.get("verdict", {}).get("seconds", {}).get("total", 0.0))


def explain(
    student: str,
    records: Iterable[dict[str, Any]],
    points: Mapping[Column, float | None] | None = None,
    penalty: float = 0.0,
) -> str:
    """Every notebook of one student, cell by cell; `points` stand before the program's.

    `penalty` is what lateness costs.
    """
    records = [record for record in newest(records) if record["student"] == student]
    parts = [_notebook(record, points or {}) for record in records]
    head = f"{drop_controls(student)}: {_sum(records, points or {})}"
    head += f"; less {penalty:g} for lateness" if penalty else ""
    return "\n\n".join([head, *parts])


def _sum(records: list[dict[str, Any]], points: Mapping[Column, float | None]) -> str:
    """The total in words."""
    if not records:
        return "nothing was graded"
    pairs = [(_given(r, cell, points), float(cell["max"])) for r in records for cell in _cells(r)]
    known = [(mine, most) for mine, most in pairs if mine is not None]
    said = f"{sum(p for p, _ in known):g} of {sum(m for _, m in known):g} points"
    if rest := sum(most for mine, most in pairs if mine is None):
        said += f", {rest:g} more for a person to decide"
    other = [f"{r['notebook']} is {r['state']}" for r in records if r["state"] != "graded"]
    return "; ".join([said, *other])


def _cells(record: dict[str, Any]) -> list[dict[str, Any]]:
    return record.get("verdict", {}).get("cells", [])


def _given(
    record: dict[str, Any], cell: dict[str, Any], points: Mapping[Column, float | None]
) -> float | None:
    key = record["notebook"], cell["grade_id"]
    return points[key] if points.get(key) is not None else cell["points"]


def _notebook(record: dict[str, Any], points: Mapping[Column, float | None]) -> str:
    name = drop_controls(record["notebook"])
    received = f", received {record['received']}" if record.get("received") else ""
    if record["state"] != "graded":
        return _wrap(f"{name}: {record['state']}{received}. {record.get('reason', '')}", "")
    lines = [f"{name}{received}"]
    for cell in _cells(record):
        mine = _given(record, cell, points)
        score = "-" if mine is None else f"{mine:g}"
        lines.append(f"  {cell['grade_id'].removeprefix('test_')}: {score} of {cell['max']:g}")
        override = mine is not None and mine != cell["points"]
        text = "marked by a person\n" if override and cell["state"] != "by hand" else ""
        if not (override and cell["state"] == "by hand"):
            text += cell_text(cell)
        lines += [_wrap(line, "    ") for line in text.split("\n") if line]
    notes = record["verdict"].get("notes", [])
    lines += [_wrap(f"{note['kind']}: {note['text']}", "  ! ") for note in notes]
    return "\n".join([*lines, f"  {_timing(record)}"])


def cell_text(cell: dict[str, Any]) -> str:
    """What is said about one cell: a line per check that passed, and each hint once."""
    lines = [] if cell["state"] == "judged" else [WAITING.get(cell["state"], cell["state"])]
    hints: dict[str, list[dict[str, Any]]] = {}
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


def _timing(record: dict[str, Any]) -> str:
    seconds = record["verdict"].get("seconds", {})
    parts = ", ".join(f"{k} {v:.2f}" for k, v in seconds.items() if k != "total")
    restarts = record["verdict"].get("restarts", 0)
    again = f", started again {restarts} times" if restarts else ""
    return f"took {seconds_of(record):.2f} s ({parts}){again}"


def _wrap(text: str, indent: str) -> str:
    """Text in lines of WIDTH, the first with the indent, the others below it."""
    return textwrap.fill(
        drop_controls(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * (len(indent) + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
