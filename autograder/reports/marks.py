"""The ledger's records as one table: a row per student, a column per graded cell.

A cell that a person still has to mark, or that could not be graded, has no number, and neither has
the student's total: nothing unknown counts as zero. A notebook that was not handed in is zero, as
in nbgrader's gradebook.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from autograder.gradebook.records import Record, cells_of

ByHand = Mapping[tuple[str, str], float]  # (student, grade_id): points that a person gave
Column = tuple[str, str]  # notebook, grade_id
STATES = ("waiting", "failed", "rejected", "by hand", "missing", "graded")  # worst first


@dataclass
class Row:
    """One student: the points by cell (None: unknown), and the records behind them."""

    student: str
    points: dict[Column, float | None] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    penalty: float = 0.0
    waiting: tuple[str, ...] = ()  # notebooks that are not graded yet

    @cached_property
    def total(self) -> float | None:
        """The points minus the late penalty; None while any are unknown."""
        points = sum_if_known(self.points.values())
        return None if points is None else max(0.0, points - self.penalty)

    @cached_property
    def to_mark(self) -> list[Column]:
        """The cells that a person still has to mark."""
        graded = {name for name, record in self.records.items() if record["state"] == "graded"}
        return [key for key, value in self.points.items() if value is None and key[0] in graded]

    @cached_property
    def so_far(self) -> float:
        """The sum of the known points."""
        return sum(value for value in self.points.values() if value is not None)

    def of_notebook(self, notebook: str) -> float | None:
        """Return the points of one notebook; None while any are unknown."""
        return sum_if_known([v for (name, _), v in self.points.items() if name == notebook])

    @cached_property
    def state(self) -> str:
        """The worst state of any notebook; "by hand" means that a person must mark something."""
        found = {record["state"] for record in self.records.values()}
        found |= {"waiting"} if self.waiting else set()
        if found <= {"graded", "missing"} and self.total is None:
            found.add("by hand")
        return next((state for state in STATES if state in found), "graded")

    def reasons(self) -> list[str]:
        """Return a phrase for each notebook and cell without a plain mark."""
        reasons = [f"{name}: not graded yet" for name in self.waiting]
        for name, record in sorted(self.records.items()):
            if record["state"] == "missing":
                reasons.append(f"{name}: missing")
            elif record["state"] != "graded":
                reason = record.get("reason") or "no reason given"
                reasons.append(f"{name}: {record['state']} ({reason})")
        return reasons + [f"{cell}: a person decides" for _, cell in self.to_mark]


@dataclass
class Marks:
    """The whole class: the maximum points of each column, and a row per student."""

    most: dict[Column, float]
    rows: list[Row]

    @cached_property
    def notebooks(self) -> list[str]:
        """The names of all notebooks, in order."""
        return sorted({name for row in self.rows for name in row.records})

    def most_of(self, notebook: str) -> float:
        """Return the maximum points of one notebook."""
        return sum(value for (name, _), value in self.most.items() if name == notebook)


def sum_if_known(values: Collection[float | None]) -> float | None:
    """Return the sum; None if a value is unknown, or there is none."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def newest(records: Iterable[Record]) -> list[Record]:
    """Return the newest record for each student and notebook, sorted by name."""
    found: dict[tuple[str, str], Record] = {}
    for record in sorted(records, key=lambda r: r["time"]):
        found[record["student"], record["notebook"]] = record
    return [found[key] for key in sorted(found)]


def tabulate(
    records: Iterable[Record],
    by_hand: ByHand | None = None,
    penalties: Mapping[str, float] | None = None,
) -> Marks:
    """Return the table of these records; a person's mark replaces the automatic one."""
    records, by_hand = newest(records), by_hand or {}
    most: dict[Column, float] = {}
    for record in records:
        for cell in cells_of(record):
            most.setdefault((record["notebook"], cell["grade_id"]), float(cell["max"]))
    most = {
        key: most[key] for key in sorted(most, key=lambda key: key[0])
    }  # cells keep their order
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
            row.points[name, ""] = None  # nobody's was graded, so its cells are unknown
    return Marks(most, sorted(rows.values(), key=lambda row: row.student))


def _points(row: Row, key: Column, by_hand: ByHand) -> float | None:
    given = by_hand.get((row.student, key[1]))
    if given is not None:
        return float(given)
    record = row.records.get(key[0])
    if record is None:
        return None
    if record["state"] == "missing":
        return 0.0
    return {cell["grade_id"]: cell["points"] for cell in cells_of(record)}.get(key[1])
