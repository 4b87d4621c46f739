"""Parts of the class page about the answers: exercises, checks, mistakes, similar answers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from autograder.gradebook.records import CellResult, CheckResult, Record, cells_of
from autograder.reports.html_page import (
    Html,
    bar,
    count_of,
    join,
    long_table,
    person,
    section,
    table,
    tag,
)
from autograder.reports.marks import Column, Marks
from autograder.reports.similarity import pairs

KINDS = {"full": "all points", "part": "some", "none": "none", "blank": "left blank"}
PAIRS = 20  # shown at most


def _cells(record: Record) -> Iterator[tuple[CellResult, bool]]:
    """Yield the judged cells of a record, and whether the answer was left blank."""
    blank = record["verdict"]["blank"] if record["state"] == "graded" else []
    for cell in cells_of(record):
        if cell["state"] != "by hand":
            yield cell, cell["grade_id"].removeprefix("test_") in blank or cell["state"] == "blank"


def _name(grade_id: str) -> Html:
    return tag("code", grade_id.removeprefix("test_"))


def exercises(marks: Marks, records: Iterable[Record]) -> Html:
    """Return how many students got all points, some or none for each exercise, or left it blank."""
    blank = {
        (r["student"], r["notebook"], cell["grade_id"])
        for r in records
        for cell, is_blank in _cells(r)
        if is_blank
    }
    rows = [
        row
        for key, most in marks.most.items()
        if key not in marks.undecided and (row := _exercise(marks, key, most, blank))
    ]
    head = ["Exercise", "Results", *(f"#{text}" for text in KINDS.values()), "#Mean"]
    text = "Of the students who handed it in and have a mark for it. "
    text += "A written answer is listed once half of them are marked."
    drawn = table("In the order of the course", head, rows)
    return section("The exercises", text, _legend(), drawn)


def _exercise(
    marks: Marks, key: Column, most: float, blank: set[tuple[str, str, str]]
) -> list[object] | None:
    """Return the row of one exercise; None if no one handed it in."""
    counts: Counter[str] = Counter()
    known = []
    for row in marks.rows:
        points = row.points[key]
        if points is None or row.records[key[0]]["state"] == "missing":
            continue
        known.append(points)
        if (row.student, *key) in blank and not points:
            counts["blank"] += 1
        else:
            counts["full" if points >= most else "part" if points > 0 else "none"] += 1
    if not known or not most:
        return None
    mean = sum(known) / len(known)
    return [_name(key[1]), *_kinds(counts, len(known)), f"{mean:.1f} of {most:g}"]


def _kinds(counts: Counter[str], of: int) -> list[object]:
    label = ", ".join(f"{text}: {counts[kind]} of {of}" for kind, text in KINDS.items())
    drawn = bar(label, [(kind, counts[kind] / of) for kind in KINDS])
    return [drawn, *(counts[kind] for kind in KINDS)]


def _legend() -> Html:
    square = {"viewBox": "0 0 10 10", "aria_hidden": "true"}
    items = [
        tag("li", tag("svg", tag("rect", width=10, height=10, class_=kind), **square), text)
        for kind, text in KINDS.items()
    ]
    return tag("ul", items, class_="key")


def checks(records: Iterable[Record]) -> Html:
    """Return how many passed each check, the hardest first; blank answers are not counted."""
    found: dict[tuple[str, str], list[CheckResult]] = defaultdict(list)
    for record in records:
        for cell, blank in _cells(record):
            for check in [] if blank else cell["checks"]:
                found[cell["grade_id"], check["property"]].append(check)
    rows = []
    for (name, text), tried in found.items():
        passed = sum(check["passed"] for check in tried)
        share = passed / len(tried)
        drawn = bar(f"{passed} of {len(tried)} passed", [("most", share)])
        what = [_name(name), " ", text]
        row = [join(what), drawn, f"{share:.0%}", f"{passed} of {len(tried)}"]
        rows.append((share, -len(tried), name, [*row, f"{tried[0]['points']:g}"]))
    rows.sort(key=lambda row: row[:3])
    head = ["Check", "Passed", "#Share", "#Students", "#Points"]
    text = "The share of the answers that passed each check. Blank answers are not counted."
    ordered = [row for *_, row in rows]
    return section("The checks, hardest first", text, long_table("Checks", head, ordered))


def mistakes(records: Iterable[Record]) -> Html:
    """Return the hints that students got, the most common first; each counts once per student."""
    who: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in records:
        for cell, blank in _cells(record):
            for check in [] if blank else cell["checks"]:
                if not check["passed"]:
                    who[cell["grade_id"], check["hint"]].add(record["student"])
    most = max(map(len, who.values()), default=1)
    ordered = sorted(who.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = [
        [
            join([_name(name), " ", hint]),
            bar(count_of(len(students), "student"), [("most", len(students) / most)]),
            len(students),
        ]
        for (name, hint), students in ordered
    ]
    text = "The hints that the checks gave, and how many students got each of them."
    if not rows:
        return section("The most common mistakes", "No answer failed a check.")
    head = ["Hint", "How often", "#Students"]
    return section("The most common mistakes", text, long_table("Hints", head, rows))


def similar_answers(answers: Mapping[str, Mapping[str, str]], released: Mapping[str, str]) -> Html:
    """Return the pairs of students who share code that hardly anyone else wrote."""
    title = "Unusually similar answers"
    found = pairs(answers, released)[:PAIRS]
    if not found:
        return section(title, f"No pair stands out among {count_of(len(answers), 'student')}.")
    rows = [
        [
            join([person(pair.first), " and ", person(pair.second)]),
            f"{pair.bits:.0f}",
            len(pair.cells),
            join([[_name(name), f" {share:.0%} "] for name, share in pair.cells[:6]]),
        ]
        for pair in found
    ]
    text = "Pairs who share code that hardly anyone else wrote; names and layout are ignored. "
    text += "Read both answers before you judge: a source that both used looks the same."
    head = ["Students", "#Bits of surprise", "#Answers", "Most similar"]
    return section(title, text, table("The most unusual first", head, rows))
