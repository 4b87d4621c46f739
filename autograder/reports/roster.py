"""The list of students that another system exported, and whose row belongs to which student.

It is Canvas's gradebook, Moodle's grading worksheet, or any table with a row for each person.
"""

import csv
import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from autograder.csv_files import Format, decode, read_rows, separator_of
from autograder.errors import AutograderError

# Columns that identify people, the most reliable first; Canvas's own ID is used nowhere else.
UNIQUE = ["sis login id", "login", "username", "user name", "identifier", "sis user id",
          "id number", "email address", "e-mail address", "email", "e-mail", "id"]  # fmt: skip
IDENTITY = [*UNIQUE[:-1], "student", "full name", "name", "first name", "last name", "id"]
Line = dict[str, str]


class Roster(NamedTuple):
    """The rows of a file, and how it was written."""

    rows: list[Line]
    form: Format

    @property
    def head(self) -> list[str]:
        """The names of the columns."""
        return [*self.rows[0]]


class Matched(NamedTuple):
    """The roster's rows by the student whom they name."""

    column: str
    found: list[tuple[Line, str]]  # rows with their student
    absent: list[Line]  # rows of people who handed in nothing
    lost: list[str]  # students who are not in the roster
    unclear: list[str]  # fields that may name a student, but not surely

    def names(self) -> list[str]:
        """Return the people who handed in nothing, by the column that names them."""
        return [line[self.column].strip() for line in self.absent]

    def messages(self) -> list[str]:
        """Return what the user must know about the match."""
        said = [f"not in the roster: {', '.join(self.lost)}"] if self.lost else []
        said.append(f"{len(self.found)} found in the roster by column {self.column}")
        if self.unclear:
            said.append(f"rows that name nobody for sure: {', '.join(self.unclear)}")
        if self.absent:
            names = ", ".join(self.names())
            said.append(f"{len(self.absent)} in the roster handed in nothing: {names}")
        return said


def read_roster(path: Path) -> Roster:
    """Return the rows of a file that another system exported.

    Raises AutograderError if it cannot be read, or has no rows.
    """
    try:
        text, encoding = decode(path.read_bytes(), otherwise="cp1252")
        separator = separator_of(text)
        rows = read_rows(text, separator)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AutograderError(f"{path} cannot be read as a roster ({error}).") from None
    if not rows:
        raise AutograderError(f"{path} has no rows; export it again from Canvas or Moodle.")
    return Roster(rows, Format(encoding, separator))


def match(roster: Roster, known: Collection[str], by: str | None) -> Matched:
    """Match the roster's rows with the students in `known` by one column.

    One person's ID may be another's login. A column that identifies everyone is used; otherwise
    the user must choose, by the column's name `by`, if two columns disagree about a row. A column
    that `by` chooses and that holds no names of people holds names of groups: several rows may
    share one. Raises AutograderError if the rows cannot be matched.
    """
    columns = _columns(roster, by)
    named = {c: _students([line.get(c, "") for line in roster.rows], known) for c in columns}
    trusted = sorted(columns, key=lambda c: _trust(columns[c]))
    people = {c: set(named[c]) - {None} for c in trusted}
    column = max(trusted, key=lambda c: len(people[c]))
    rivals = [
        c for c in trusted if len(people[c]) == len(known) or len(people[column]) < len(known)
    ]
    for other in rivals:
        for one, two in zip(named[column], named[other], strict=True):
            if None not in (one, two) and one != two and columns[other] in UNIQUE:
                raise AutograderError(
                    f"one row of the roster is {one} by column {column}, and {two} by {other}. "
                    f"Name the column that identifies your students: --column {column!r}, or the "
                    "other."
                )
    pairs = list(zip(roster.rows, named[column], strict=True))
    found = [(line, name) for line, name in pairs if name]
    counts = Counter(name for _, name in found)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice and (by is None or columns[column] in IDENTITY):
        raise AutograderError(
            f"the roster has more than one row for {', '.join(twice)} (column {column}). "
            "Remove the others, or name another column with --column."
        )
    lost = sorted(set(known) - set(counts))
    others = [line for line, name in pairs if not name and _is_person(line.get(column, ""))]
    alike = {form for name in known for form in _forms(name)}
    absent = [line for line in others if not alike & {*_forms(line[column])}]
    unclear = [line[column].strip() for line in others if line not in absent]
    return Matched(column, found, absent, lost, unclear)


def _columns(roster: Roster, by: str | None) -> dict[str, str]:
    """Return the columns that may name people, with their names in lower case."""
    columns = {c: c.casefold() for c in roster.head}
    if by is None:
        columns = {c: folded for c, folded in columns.items() if folded in IDENTITY}
    else:
        columns = {c: f for c, f in columns.items() if c == by.strip()} or {
            c: f for c, f in columns.items() if f == by.strip().casefold()
        }
    if not columns:
        raise AutograderError(
            f"the roster has no column that names people, such as {by or IDENTITY[0]!r}. Its "
            f"columns, separated by {roster.form.separator!r}, are {', '.join(roster.head)}. "
            "Name one of them with --column, or export the roster again."
        )
    return columns


def _trust(folded: str) -> int:
    return IDENTITY.index(folded) if folded in IDENTITY else len(IDENTITY)


def _is_person(field: str) -> bool:
    """Return whether a field names somebody; Canvas's second line only looks like a person."""
    text = field.strip().casefold()
    return bool(text) and not text.startswith("points possible")


def _forms(field: str) -> list[str]:
    """Return the names that a field may stand for; the last is an address's name."""
    folded = unicodedata.normalize("NFC", field.strip()).casefold()
    return [folded, folded.removeprefix("participant "), folded.split("@")[0]]


def _students(fields: list[str], known: Collection[str]) -> list[str | None]:
    """Return the student whom each field of a column names, or None.

    A field may differ in case, begin with "Participant ", or be an address. A field that could name
    two students, and an address whose name two people share, name nobody.
    """
    exact = [unicodedata.normalize("NFC", field.strip()) for field in fields]
    by_fold = {name.casefold(): name for name in known}
    alike = Counter(map(str.casefold, known))
    before_at = Counter(text.casefold().split("@")[0] for text in exact)
    found: list[str | None] = []
    for text in exact:
        *forms, local = _forms(text)
        forms += [local] if before_at[local] == 1 else []
        one = next((by_fold[form] for form in forms if alike[form] == 1), None)
        found.append(text if text in known else one)
    return found
