"""When a submission was received, as the collector says, or the submission itself."""

import csv
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from autograder.errors import AutograderError
from autograder.submissions.files import SubmissionRefused, read_regular


def read_receipts(course: Path, assignment: str) -> dict[str, str]:
    """When the collector received each submission: receipts.csv (student,assignment,received)."""
    path = course / "receipts.csv"
    if not path.exists():
        return {}
    found = {}
    with path.open(newline="", encoding="utf-8-sig") as file:  # a spreadsheet marks it so
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
    """What timestamp.txt says, the submission's own word: nbgrader goes by it, too."""
    try:
        return as_utc(read_regular(folder, "timestamp.txt").decode().strip())
    except (SubmissionRefused, ValueError, OverflowError):  # the year 1, in a zone east of ours
        return None


def as_utc(text: str) -> str:
    """A time as ISO text in UTC; one without a zone is taken as UTC."""
    text = text.removesuffix(" UTC")
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
