"""Read when a submission was received: from the collector's list, or from the submission.

If receipts.csv has a row for the assignment, it alone counts: a student could have written the
time in timestamp.txt. Times are read as nbgrader reads them, which writes `2026-12-02 23:00:00 EST`
in the time zone of its exchange.
"""

import csv
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from autograder.csv_files import decode, read_rows, separator_of
from autograder.errors import AutograderError
from autograder.submissions.files import SubmissionRefused, read_regular

STAMP = "timestamp.txt"
ZONE = re.compile(r"(?P<time>.*(?:\d|(?i:[ap]m)))\s*(?!(?i:[ap]m)$)(?P<zone>[A-Za-z][\w+/-]*)")
YEAR_FIRST = re.compile(r"\s*\d{4}\D")
LONGEST = 100  # characters of a time


def read_receipts(course: Path, assignment: str) -> dict[str, str]:
    """Return the ISO time of each student's submission from receipts.csv, `{}` without the file.

    Its columns are student, assignment, received. Raises AutograderError if it cannot be read.
    """
    path = course / "receipts.csv"
    if not path.exists():
        return {}
    try:
        text, _ = decode(path.read_bytes())  # a spreadsheet adds a byte-order mark
        rows = read_rows(text, separator_of(text))
    except UnicodeDecodeError:
        raise AutograderError(f"{path} is not in UTF-8: save it as `CSV UTF-8`.") from None
    except csv.Error as error:
        raise AutograderError(f"{path} cannot be read ({error}).") from None
    found = {}
    for number, row in enumerate(rows, start=2):
        try:
            if row["assignment"].strip() == assignment:
                name = unicodedata.normalize("NFC", row["student"].strip())
                found[name] = as_utc(row["received"])
        except (KeyError, ValueError, OverflowError):
            raise AutograderError(
                f"{path}, line {number}: expected student,assignment,received with an ISO time."
            ) from None
    return found


def own_time(folder: Path) -> str | None:
    """Return the time in the submission's own timestamp.txt; None without one that is readable."""
    try:
        return as_utc(_stamp(folder))
    except (SubmissionRefused, ValueError, OverflowError):  # e.g. the year 1 in a zone east of UTC
        return None


def about_times(course: Path, assignment: str, submitted: dict[str, Path]) -> list[str]:
    """Return a line for each student and row of receipts.csv without a time that can be used.

    `submitted` holds the submissions' folders by student.
    """
    receipts = read_receipts(course, assignment)
    if not receipts:
        return [line for name, folder in submitted.items() for line in _about_stamp(name, folder)]
    none = "no row in receipts.csv, so the time is unknown and costs no penalty"
    lines = [f"{name}: {none}" for name in submitted if name not in receipts]
    stray = "a row in receipts.csv, and no folder in submitted/"
    return lines + [f"{name}: {stray}" for name in receipts if name not in submitted]


def _about_stamp(student: str, folder: Path) -> list[str]:
    try:
        as_utc(text := _stamp(folder))
    except SubmissionRefused:  # there is none, or it is a link: nothing is expected
        return []
    except UnicodeDecodeError:
        return [f"{student}: {STAMP} is not a text, so the time is unknown and costs no penalty"]
    except (ValueError, OverflowError):
        said = f"{STAMP} says {text[:60]!r}, which is not one date with a time in a known zone"
        return [f"{student}: {said}: it costs no penalty. Write the time into course/receipts.csv"]
    return []


def _stamp(folder: Path) -> str:
    text, _ = decode(read_regular(folder, STAMP))
    return text.strip()


def as_utc(text: str) -> str:
    """Return a time as ISO text in UTC; a time without a zone is in UTC.

    Raises ValueError if it is not a date with a time in a known zone, and OverflowError if UTC
    cannot express it.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        if len(text) > LONGEST:
            raise
        time = _as_people_write(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _as_people_write(text: str) -> datetime:
    """Return a time such as `2 Dec 2026 11 pm CET`.

    Raises ValueError if a part is missing, or if 02.12. can be the second month or the twelfth.
    """
    from dateutil import parser

    named = ZONE.fullmatch(text)
    bare = named["time"] if named else text
    orders = (False,) if YEAR_FIRST.match(bare) else (False, True)
    try:
        readings = {
            parser.parse(bare, default=gaps, dayfirst=day_first, tzinfos=_zone_in_text)
            # Two days to fill gaps from: today's date must not decide.
            for gaps in (datetime(1, 1, 1), datetime(2, 2, 2, 2, 2))
            for day_first in orders
        }
    except ArithmeticError as error:  # dateutil computes with decimals
        raise ValueError(f"{text!r} is not a time") from error
    if len(readings) != 1:
        raise ValueError(f"{text!r} is not one date with a time")
    one = readings.pop()
    return one if one.tzinfo or not named else one.replace(tzinfo=_zone(named["zone"], one))


def _zone_in_text(name: str | None, seconds: int | None) -> tzinfo | None:
    """Return the zone that stands inside a text, as dateutil found it."""
    if seconds is not None:
        return timezone(timedelta(seconds=seconds))
    return _zone(name, None) if name else None


def _zone(name: str, time: datetime | None) -> tzinfo:
    """Return the time zone of this name at that time: `UTC`, `EST`, `CEST`, `Europe/Berlin`.

    Raises ValueError if it is unknown, or if places that use it differ.
    """
    from dateutil import tz

    if name in ("UTC", "GMT", "Z"):
        return UTC
    if (zone := tz.gettz(name)) is not None:
        return zone
    offsets = {zone.utcoffset(time) for zone in _zones() if time and zone.tzname(time) == name}
    if len(offsets) != 1:
        raise ValueError(f"{name!r} is not a time zone, or more than one")
    return timezone(offsets.pop() or timedelta())


@cache
def _zones() -> list[ZoneInfo]:
    return [ZoneInfo(name) for name in available_timezones()]
