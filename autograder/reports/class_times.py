"""Parts of the class page about the grading itself: notes on submissions, and times."""

import statistics
from collections.abc import Iterable
from itertools import pairwise

from autograder.gradebook.records import (
    GradedRecord,
    Record,
    cells_of,
    notes_of,
    restarts_of,
    seconds_of,
    total_seconds,
)
from autograder.reports.html_page import Html, bar, count_of, join, long_table, person, section, tag

PAUSE = 60.0  # seconds without a result, after which another run begins
SLOWEST = 10
PARTS = {"cells": "part", "checks": "most", "sandbox": "blank"}


def notes(records: Iterable[Record]) -> Html:
    """Return what differed from the released notebooks: tampering first, then accidents."""
    found: dict[str, list[list[object]]] = {"tampering": [], "accident": []}
    for record in records:
        for note in notes_of(record):
            found.setdefault(note["kind"], []).append(_note(record, note["text"]))
        for cell in cells_of(record):
            if cell["state"] in ("ended", "not reached"):
                found["accident"].append(_note(record, *cell["lines"]))
    titles = {
        "tampering": "Tampering: undone, and without effect on the mark",
        "accident": "Accidents: repaired if the intent was clear",
    }
    head = ["Student", "Notebook", "Note"]
    tables = [long_table(titles.get(k, k), head, rows) for k, rows in found.items() if rows]
    names = {"accident": "accidents"}
    text = [f"{count_of(len(rows), 'note')} on {names.get(k, k)}" for k, rows in found.items()]
    return section("Tampering and accidents", f"{', '.join(text)}.", tables)


def _note(record: Record, *lines: str) -> list[object]:
    return [person(record["student"]), record["notebook"], tag("span", *lines, class_="text")]


def times(records: Iterable[Record]) -> Html:
    """Return how long grading took: the slowest notebooks, and how many a minute."""
    graded = [record for record in records if record["state"] == "graded"]
    if not graded:
        return section("Time", "Nothing has been graded.")
    spent = sorted(map(total_seconds, graded))
    last = spent[min(len(spent) - 1, int(0.95 * len(spent)))]
    text = f"The median notebook took {statistics.median(spent):.2f} s, the slowest of 20 took "
    text += f"{last:.2f} s, and all {len(spent)} took {sum(spent):.0f} s. {throughput(graded)}"
    slow = sorted(graded, key=lambda r: (-total_seconds(r), r["student"], r["notebook"]))[:SLOWEST]
    most = total_seconds(slow[0]) or 1.0
    rows = [_slow(record, most) for record in slow]
    head = ["Student", "Notebook", "Time by part", "#Cells", "#Checks", "#Sandbox", "#Total s"]
    return section("Time", text, _legend(), long_table("The slowest notebooks", head, rows))


def _slow(record: GradedRecord, most: float) -> list[object]:
    seconds = seconds_of(record)
    parts = [(kind, seconds.get(name, 0.0) / most) for name, kind in PARTS.items()]
    label = ", ".join(f"{name} {seconds.get(name, 0.0):.2f} s" for name in PARTS)
    numbers = [f"{seconds.get(name, 0.0):.2f}" for name in PARTS]
    again = restarts_of(record)
    total = f"{total_seconds(record):.2f}" + (f" ({again} restarts)" if again else "")
    return [person(record["student"]), record["notebook"], bar(label, parts), *numbers, total]


def throughput(records: Iterable[Record]) -> str:
    """Return the notebooks a minute in the longest run, judged by the times of the results."""
    ends = sorted(record["time"] for record in records)
    runs: list[list[float]] = [[]]
    for before, after in pairwise(ends):
        if after - before > PAUSE:
            runs.append([])
        else:
            runs[-1].append(after - before)
    longest = max(runs, key=len)
    if len(longest) < 5 or not sum(longest):
        return ""
    return f"{60 * len(longest) / sum(longest):.0f} notebooks a minute in the longest run."


def _legend() -> Html:
    square = {"viewBox": "0 0 10 10", "aria_hidden": "true"}
    names = {"cells": "cells", "checks": "checks", "sandbox": "start of the sandbox"}
    items = [
        tag("li", tag("svg", tag("rect", width=10, height=10, class_=kind), **square), names[name])
        for name, kind in PARTS.items()
    ]
    return tag("ul", join(items), class_="key")
