"""Read when a submission was received: from the collector's list, or from the submission."""

import csv
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from autograder.errors import AutograderError
from autograder.submissions.files import SubmissionRefused, read_regular


def read_receipts(course: Path, assignment: str) -> dict[str, str]:
    """Return the ISO time of each student's submission from receipts.csv, `{}` without the file.

    Its columns are student, assignment, received. Raises AutograderError if it cannot be read.
    """
    path = course / "receipts.csv"
    if not path.exists():
        return {}
    found = {}
    with path.open(newline="", encoding="utf-8-sig") as file:  # a spreadsheet adds a mark
        rows = csv.DictReader(file)
        try:
            for row in rows:
                if row["assignment"] == assignment:
                    name = unicodedata.normalize("NFC", row["student"])
                    found[name] = as_utc(row["received"])
        except UnicodeDecodeError:
            raise AutograderError(f"{path} is not in UTF-8: save it as `CSV UTF-8`.") from None
        except (csv.Error, KeyError, ValueError, TypeError, AttributeError, OverflowError):
            raise AutograderError(
                f"{path}, line {rows.line_num}: expected student,assignment,received with an ISO "
                "time."
            ) from None
    return found


def own_time(folder: Path) -> str | None:
    """Return the time in the submission's own timestamp.txt, as nbgrader does; None without one."""
    try:
        return as_utc(read_regular(folder, "timestamp.txt").decode().strip())
    except (SubmissionRefused, ValueError, OverflowError):  # e.g. the year 1 in a zone east of UTC
        return None


def as_utc(text: str) -> str:
    """Return a time as ISO text in UTC; a time without a zone is in UTC."""
    text = text.removesuffix(" UTC")
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
