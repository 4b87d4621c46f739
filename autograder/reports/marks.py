"""The ledger's records as one table: a row per student, a column per graded cell of the release.

A cell that a person still has to mark, or that could not be graded, has no number, and neither has
the student's total: nothing unknown counts as zero. A notebook that was not handed in is zero, as
in nbgrader's gradebook.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from autograder.gradebook.records import Given, Record, cells_of

Column = tuple[str, str]  # notebook, grade_id
STATES = ("waiting", "failed", "rejected", "by hand", "missing", "graded")  # worst first
NOTHING_GIVEN = Given()


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
        return None if points is None else self.after_penalty(points)

    def after_penalty(self, points: float) -> float:
        """Take the late penalty off; never more than the points."""
        return max(0.0, points - self.penalty)

    @cached_property
    def to_mark(self) -> list[Column]:
        """The cells that a person still has to mark, or has to look at again."""
        decided = {n for n, record in self.records.items() if record["state"] in STATES[-2:]}
        return [key for key, value in self.points.items() if value is None and key[0] in decided]

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
        return sorted({name for name, _ in self.most})

    @cached_property
    def records(self) -> list[Record]:
        """All records, sorted by student and notebook."""
        return [row.records[name] for row in self.rows for name in sorted(row.records)]

    @cached_property
    def undecided(self) -> set[Column]:
        """The cells that a person still has to mark for most of those who filled them in."""
        balance: Counter[Column] = Counter()
        for row in self.rows:
            for key in _filled_in(row):
                balance[key] += 1 if row.points[key] is None else -1
        return {key for key, more_unmarked in balance.items() if more_unmarked > 0}

    def most_of(self, notebook: str) -> float:
        """Return the maximum points of one notebook."""
        return sum(value for (name, _), value in self.most.items() if name == notebook)


def _filled_in(row: Row) -> set[Column]:
    """Return the graded cells of a student without the written answers that were left blank."""
    cells = ((n, cell) for n, record in row.records.items() for cell in cells_of(record))
    found = {(n, cell["grade_id"]) for n, cell in cells if cell["state"] != "blank"}
    return found & row.points.keys()


def sum_if_known(values: Collection[float | None]) -> float | None:
    """Return the sum; None if a value is unknown, or there is none."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def tabulate(
    records: Iterable[Record],
    released: Mapping[Column, float],
    given: Given = NOTHING_GIVEN,
    students: Iterable[str] = (),
) -> Marks:
    """Return the table of these records, one for each student and notebook.

    `released` holds the points of every cell that students were given, and `students` those whose
    work may not have been graded yet. A person's mark replaces the automatic one.
    """
    rows = {student: Row(student) for student in students}
    for record in records:
        row = rows.setdefault(record["student"], Row(record["student"]))
        row.records[record["notebook"]] = record
    notebooks = sorted({name for name, _ in released})
    for row in rows.values():
        row.penalty = given.penalties.get(row.student, 0.0)
        row.waiting = tuple(name for name in notebooks if name not in row.records)
        row.points = {key: _points(row, key, given) for key in released}
    return Marks(dict(released), sorted(rows.values(), key=lambda row: row.student))


def _points(row: Row, key: Column, given: Given) -> float | None:
    """Return the points of a cell with its extra credit; None while they are unknown."""
    who = row.student, key[1]
    automatic = _automatic_points(row, key)
    points = given.by_hand.get(who, automatic) if key[0] in row.records else None
    return None if points is None else float(points) + given.bonus.get(who, 0.0)


def _automatic_points(row: Row, key: Column) -> float | None:
    record = row.records.get(key[0])
    if record is None:
        return None
    if record["state"] == "missing":
        return 0.0
    return {cell["grade_id"]: cell["points"] for cell in cells_of(record)}.get(key[1])
