"""Parts of the class page about the grading itself: notes on submissions, and time."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from autograder.reports.explain import seconds_of
from autograder.reports.html_page import Html, bar, count_of, join, long_table, person, section, tag

PAUSE = 60.0  # seconds without a result: another run
SLOWEST = 10
PARTS = {"cells": "part", "checks": "most", "sandbox": "blank"}


def notes(records: Iterable[dict[str, Any]]) -> Html:
    """What differed from the notebooks as they were given: tampering first, then accidents."""
    found: dict[str, list[list[object]]] = {"tampering": [], "accident": []}
    for record in records:
        for note in record.get("verdict", {}).get("notes", []):
            text = tag("span", note["text"], class_="text")
            row = [person(record["student"]), record["notebook"], text]
            found.setdefault(note["kind"], []).append(row)
        for cell in record.get("verdict", {}).get("cells", []):
            if cell["state"] in ("ended", "not reached"):
                text = tag("span", *cell["lines"], class_="text")
                found["accident"].append([person(record["student"]), record["notebook"], text])
    head = ["Student", "Notebook", "What"]
    titles = {
        "tampering": "Tampering: undone, and without effect on the mark",
        "accident": "Accidents: repaired where the intent was clear",
    }
    tables = [long_table(titles.get(k, k), head, rows) for k, rows in found.items() if rows]
    text = ", ".join(count_of(len(rows), f"note of {kind}") for kind, rows in found.items())
    text = text.replace("note of tamperings", "notes of tampering")
    text = text.replace("note of accidents", "notes of accidents")
    return section("Tampering and accidents", f"{text}.", tables)


def times(records: Iterable[dict[str, Any]]) -> Html:
    """How long grading took: the slowest notebooks, and how many a minute."""
    graded = [record for record in records if record["state"] == "graded"]
    if not graded:
        return section("Time", "Nothing has been graded.")
    spent = sorted(map(seconds_of, graded))
    last = spent[min(len(spent) - 1, int(0.95 * len(spent)))]
    text = f"{statistics.median(spent):.2f} s for a notebook in the middle, {last:.2f} s for the "
    text += f"slowest of 20, {sum(spent):.0f} s for all {len(spent)}. {throughput(graded)}"
    slow = sorted(graded, key=lambda r: (-seconds_of(r), r["student"], r["notebook"]))[:SLOWEST]
    most = seconds_of(slow[0]) or 1.0
    rows = [_slow(record, most) for record in slow]
    head = ["Student", "Notebook", "Where it went", "#Cells", "#Checks", "#Sandbox", "#Total s"]
    return section("Time", text, _legend(), long_table("The slowest notebooks", head, rows))


def _slow(record: dict[str, Any], most: float) -> list[object]:
    seconds = record["verdict"]["seconds"]
    parts = [(kind, seconds.get(name, 0.0) / most) for name, kind in PARTS.items()]
    label = ", ".join(f"{name} {seconds.get(name, 0.0):.2f} s" for name in PARTS)
    numbers = [f"{seconds.get(name, 0.0):.2f}" for name in PARTS]
    again = record["verdict"].get("restarts", 0)
    total = f"{seconds_of(record):.2f}" + (f" ({again} restarts)" if again else "")
    return [person(record["student"]), record["notebook"], bar(label, parts), *numbers, total]


def throughput(records: Iterable[dict[str, Any]]) -> str:
    """Notebooks a minute in the longest run, by when their results came."""
    ends = sorted(record["time"] for record in records if "time" in record)
    runs: list[list[float]] = [[]]
    for before, after in pairwise(ends):
        if after - before > PAUSE:
            runs.append([])
        else:
            runs[-1].append(after - before)
    longest = max(runs, key=len)
    if len(longest) < 5 or not sum(longest):
        return ""
    return f"{60 * len(longest) / sum(longest):.0f} notebooks a minute came in the longest run."


def _legend() -> Html:
    square = {"viewBox": "0 0 10 10", "aria_hidden": "true"}
    names: dict[str, str] = defaultdict(str, cells="the cells", checks="the checks")
    names["sandbox"] = "starting the sandbox"
    items = [
        tag("li", tag("svg", tag("rect", width=10, height=10, class_=kind), **square), names[name])
        for name, kind in PARTS.items()
    ]
    return tag("ul", join(items), class_="key")
