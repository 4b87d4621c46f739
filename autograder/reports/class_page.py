"""The page about a class: the marks, what was hard, what needs a person, and how long it took."""

import statistics
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise

from autograder.gradebook.records import Record, total_seconds
from autograder.reports.class_answers import checks, exercises, mistakes, similar_answers
from autograder.reports.class_times import notes, times
from autograder.reports.html_page import (
    Html,
    count_of,
    histogram,
    join,
    long_table,
    page,
    person,
    section,
    table,
    tag,
)
from autograder.reports.marks import Column, Marks, Row, sum_if_known

BINS = 10


def render(
    marks: Marks,
    assignment: str,
    answers: Mapping[str, Mapping[str, str]] | None = None,
    released: Mapping[str, str] | None = None,
) -> str:
    """Return the page as HTML.

    `answers` holds each student's answers by cell, and `released` the text that all were given;
    both are used to find similar answers.
    """
    records = marks.records
    body = [
        _head(marks, records, assignment),
        _needs_a_person(marks, records),
        _totals(marks),
        exercises(marks, records),
        checks(records),
        mistakes(records),
        similar_answers(answers or {}, released or {}),
        notes(records),
        times(records),
        _students(marks),
        tag("footer", "Made by autograder report. This page loads nothing and runs no scripts."),
    ]
    return page(f"{assignment}: the class", body)


def _to_mark(marks: Marks) -> list[Column]:
    """Return the cells that a person still has to mark, once for each student."""
    return [key for row in marks.rows for key in row.to_mark]


def _decided(marks: Marks) -> tuple[list[tuple[Row, float]], float]:
    """Return the rows and totals without the undecided cells, and their maximum.

    A student with an unknown mark in another cell has no total, and hides no cell of the others.
    """
    columns = set(marks.most) - marks.undecided
    found = []
    for row in marks.rows:
        points = sum_if_known([row.points[key] for key in columns])
        if points is not None:
            found.append((row, row.after_penalty(points)))
    return found, sum(marks.most[key] for key in columns)


def _head(marks: Marks, records: list[Record], assignment: str) -> Html:
    totals, most = _decided(marks)
    graded = sum(record["state"] == "graded" for record in records)
    unsolved, by_hand = len(_unsolved(marks, records)), len(_to_mark(marks))
    spent = [total_seconds(record) for record in records if record["state"] == "graded"]
    middle = f"{statistics.median(t for _, t in totals):g}" if totals else "-"
    tiles = [
        _tile("Students", len(marks.rows), f"{len(marks.notebooks)} notebooks each"),
        _tile("Notebooks graded", graded, f"of {len(records)}"),
        _tile("Median total", middle, f"of {most:g} points"),
        _tile("Without a mark", unsolved, f"and {by_hand} to mark by hand", unsolved),
        _tile("Per notebook", f"{statistics.median(spent or [0]):.2f} s", "median"),
    ]
    times = [record["time"] for record in records]
    when = f"{datetime.fromtimestamp(max(times), UTC):%d %B %Y, %H:%M} UTC" if times else ""
    line = f"Last graded {when}" if when else ""
    title = tag("h1", f"{assignment}: the class")
    return tag("header", title, tag("p", line, class_="soft"), tag("dl", tiles, class_="tiles"))


def _tile(name: str, value: object, more: str, warn: object = False) -> Html:
    inner = tag("dt", name), tag("dd", value, tag("small", more))
    return tag("div", *inner, class_="warn" if warn else None)


def _unsolved(marks: Marks, records: list[Record]) -> list[list[object]]:
    """Return a row for each notebook without a mark: rejected, failed or not graded."""
    rows: list[list[object]] = [
        [person(r["student"]), r["notebook"], _flag(r["state"]), _text(r.get("reason", ""))]
        for r in records
        if r["state"] in ("rejected", "failed")
    ]
    for row in marks.rows:
        text = "not graded yet: run autograder grade"
        rows += [[person(row.student), n, _flag("waiting"), text] for n in row.waiting]
    return rows


def _flag(text: str) -> Html:
    return tag("span", text, class_="flag")


def _text(text: str) -> Html:
    return tag("span", text, class_="text")


def _needs_a_person(marks: Marks, records: list[Record]) -> Html:
    rows = _unsolved(marks, records)
    missing: dict[str, list[object]] = {}
    for record in records:
        if record["state"] == "missing":
            missing.setdefault(record["notebook"], []).append(record["student"])
    parts: list[object] = []
    if rows:
        head = ["Student", "Notebook", "State", "Reason"]
        parts.append(long_table("Without a mark (not counted as zero)", head, rows))
    if missing:
        lines = [
            [name, len(who), join([[person(str(s)), " "] for s in who])]
            for name, who in sorted(missing.items())
        ]
        parts.append(table("Not handed in: zero points", ["Notebook", "#Students", "Who"], lines))
    hand = len(_to_mark(marks))
    text = f"{count_of(hand, 'written answer')} to mark in formgrader. " if hand else ""
    text += "" if rows else "Every notebook that was handed in has been graded."
    return section("What needs your attention", text, parts)


def _totals(marks: Marks) -> Html:
    totals, most = _decided(marks)
    if not totals or not most:
        return section("Totals", "No one has a total yet.")
    values = [value for _, value in totals]
    edges = [round(most * i / BINS, 6) for i in range(BINS + 1)]
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(BINS * value / most + 1e-9))] += 1
    middle = statistics.median(values)
    label = f"Histogram of {len(values)} totals out of {most:g}; the median is {middle:g}."
    open_ = sum(marks.most.values()) - most
    text = (
        f"{count_of(len(values), 'student')}, of {most:g} points. The dashed line is the median, "
    )
    text += f"{middle:g}; the mean is {statistics.fmean(values):.1f}."
    text += f" {open_:g} more points are still to be marked by a person." if open_ else ""
    if without := len(marks.rows) - len(values):
        text += f" Not counted, because one of their marks is unknown: {without}."
    spans = [
        f"{low:g} to {'' if high == most else 'below '}{high:g}" for low, high in pairwise(edges)
    ]
    rows = list(zip(spans, counts, strict=True))
    beside = table("The histogram in numbers", ["Points", "#Students"], reversed(rows))
    chart = histogram(label, [f"{edge:.0f}" for edge in edges], counts, middle / most)
    return section("Totals", text, tag("div", tag("div", chart), beside, class_="beside"))


def _students(marks: Marks) -> Html:
    """Return everybody's marks, the highest known sum first."""
    late = any(row.penalty for row in marks.rows)
    head = [f"#{name}" for name in marks.notebooks] + ["#Late"] * late
    head = ["Student", *head, "#Sum", "State"]
    most = [marks.most_of(name) for name in marks.notebooks]
    top = [f"{m:g}" for m in most] + [""] * late
    rows: list[list[object]] = [[tag("span", "maximum", class_="of"), *top, f"{sum(most):g}", ""]]
    for row in sorted(marks.rows, key=lambda row: (-_known(row), row.student)):
        books = [_points(row, name) for name in marks.notebooks]
        books += [f"{-row.penalty:g}" if row.penalty else ""] * late
        state = _flag(row.state) if row.state in ("failed", "rejected", "waiting") else row.state
        rows.append([person(row.student), *books, _sum(row), state])
    text = (
        "Highest sum first. 12+ means that a person still has to mark something; ? means unknown."
    )
    return section("Every student", text, table("Points by notebook", head, rows))


def _points(row: Row, notebook: str) -> object:
    """Return the known points of a notebook, with "+" if more may come; "?" if none are known."""
    values = [value for (name, _), value in row.points.items() if name == notebook]
    known = [value for value in values if value is not None]
    if not known:
        return "?"
    return f"{sum(known):g}" + ("+" if len(known) < len(values) else "")


def _sum(row: Row) -> str:
    return f"{_known(row):g}" + ("+" if row.total is None else "")


def _known(row: Row) -> float:
    return row.after_penalty(row.so_far)
