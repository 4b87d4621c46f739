"""The ledger's records as one table: a row per student, a column per graded cell.

What a person has to decide, or what could not be graded, has no number here, and so its total has
none either: nothing unknown is ever counted as zero. A notebook that was not handed in is zero,
as in nbgrader's gradebook.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

ByHand = Mapping[tuple[str, str], float]  # (student, grade_id): points that a person gave
Column = tuple[str, str]  # notebook, grade_id
STATES = ("waiting", "failed", "rejected", "by hand", "missing", "graded")  # the worst comes first


@dataclass
class Row:
    """One student: points by cell (None: unknown), and the records that they come from."""

    student: str
    points: dict[Column, float | None] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    penalty: float = 0.0
    waiting: tuple[str, ...] = ()  # notebooks that no one has graded yet

    @cached_property
    def total(self) -> float | None:
        """All points less the late penalty; None while any is unknown."""
        if not self.points or None in self.points.values():
            return None
        return max(0.0, sum(self.points.values()) - self.penalty)

    @cached_property
    def to_mark(self) -> list[Column]:
        """The cells that wait for a person."""
        graded = {name for name, record in self.records.items() if record["state"] == "graded"}
        return [key for key, value in self.points.items() if value is None and key[0] in graded]

    @cached_property
    def so_far(self) -> float:
        """The points that are known."""
        return sum(value for value in self.points.values() if value is not None)

    def of_notebook(self, notebook: str) -> float | None:
        """Points of one notebook; None while any is unknown."""
        values = [value for (name, _), value in self.points.items() if name == notebook]
        return None if not values or None in values else sum(values)

    @cached_property
    def state(self) -> str:
        """The worst state of any notebook; "by hand" waits for a person."""
        found = {record["state"] for record in self.records.values()}
        found |= {"waiting"} if self.waiting else set()
        if found <= {"graded", "missing"} and self.total is None:
            found.add("by hand")
        return next((state for state in STATES if state in found), "graded")

    def reasons(self) -> list[str]:
        """A sentence for each thing that keeps this from being a plain mark."""
        told = [f"{name}: not graded yet" for name in self.waiting]
        for name, record in sorted(self.records.items()):
            if record["state"] == "missing":
                told.append(f"{name}: missing")
            elif record["state"] != "graded":
                reason = record.get("reason") or "no reason given"
                told.append(f"{name}: {record['state']} ({reason})")
        return told + [f"{cell}: a person decides" for _, cell in self.to_mark]


@dataclass
class Marks:
    """The whole class: the columns with their most points, and a row per student."""

    most: dict[Column, float]
    rows: list[Row]

    @cached_property
    def notebooks(self) -> list[str]:
        """Names of all notebooks, in order."""
        return sorted({name for row in self.rows for name in row.records})

    def most_of(self, notebook: str) -> float:
        """The most points of one notebook."""
        return sum(value for (name, _), value in self.most.items() if name == notebook)


def newest(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record per student and notebook, by name: a later one wins."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for record in sorted(records, key=lambda r: r.get("time", 0)):
        found[record["student"], record["notebook"]] = record
    return [found[key] for key in sorted(found)]


def tabulate(
    records: Iterable[dict[str, Any]],
    by_hand: ByHand | None = None,
    penalties: Mapping[str, float] | None = None,
) -> Marks:
    """The table of these records; a mark that a person gave stands before the program's."""
    records, by_hand = newest(records), by_hand or {}
    most: dict[Column, float] = {}
    for record in records:
        for cell in record.get("verdict", {}).get("cells", []):
            most.setdefault((record["notebook"], cell["grade_id"]), float(cell["max"]))
    most = {key: most[key] for key in sorted(most, key=lambda key: key[0])}  # cells stay in order
    rows: dict[str, Row] = {}
    for record in records:
        row = rows.setdefault(record["student"], Row(record["student"]))
        row.records[record["notebook"]] = record
    notebooks = sorted({record["notebook"] for record in records})
    for row in rows.values():
        row.penalty = (penalties or {}).get(row.student, 0.0)
        row.waiting = tuple(name for name in notebooks if name not in row.records)
        row.points = {key: _points(row, key, by_hand) for key in most}
        for name in set(notebooks) - {name for name, _ in most}:
            row.points[name, ""] = None  # nobody's has been graded: its cells are not known
    return Marks(most, sorted(rows.values(), key=lambda row: row.student))


def _points(row: Row, key: Column, by_hand: ByHand) -> float | None:
    given = by_hand.get((row.student, key[1]))
    if given is not None:
        return float(given)
    record = row.records.get(key[0], {"state": "waiting"})
    if record["state"] == "missing":
        return 0.0
    if record["state"] != "graded":
        return None
    found = {cell["grade_id"]: cell["points"] for cell in record["verdict"]["cells"]}
    return found.get(key[1])
