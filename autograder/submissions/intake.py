"""What was handed in: regular files only, sized and counted, hashed and copied aside.

Nothing of a submission is opened again after this: the grader works on the copies, so a file that
changes, or is a link to something else by then, changes nothing.
"""

import csv
import hashlib
import json
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.reports.explain import clean
from autograder.submissions.files import Listing, Refused, find, list_files

MAX_BYTES = 20 << 20  # of one notebook
STUDENT = re.compile(r"[^/\0\n\r]{1,100}")


@dataclass(frozen=True)
class Job:
    """One notebook of one student: all that a worker needs, as plain values."""

    key: str
    student: str
    assignment: str
    notebook: str
    submission: str  # SHA-256 of the file, "" where there is none
    received: str | None  # ISO time
    spooled: str  # path of the copy, "" where there is none
    released: str  # path of the notebook as it was given to students
    reason: str = ""  # why it cannot be graded

    def record(self, state: str, **more: Any) -> dict[str, Any]:
        """The ledger's line about this job."""
        named = ("key", "student", "assignment", "notebook", "submission", "received")
        return {name: asdict(self)[name] for name in named} | {"state": state} | more


def released_notebooks(course: Path, assignment: str) -> dict[str, Path]:
    """The notebooks that students were given, by name."""
    folder = course / "release" / assignment
    found = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    if not found:
        raise AutograderError(
            f"{folder} has no notebooks; `make course` (or nbgrader generate_assignment) "
            "makes what students are given."
        )
    return found


def jobs(course: Path, assignment: str, only: set[str] | None = None) -> Iterator[Job]:
    """A job per student and released notebook, in the order of names."""
    released = released_notebooks(course, assignment)
    given = {name: _read_released(path) for name, path in released.items()}
    versions = {name: _digest(data) for name, data in given.items()}
    receipts = read_receipts(course, assignment)
    for student, folder in students(course, assignment):
        if only is not None and student not in only:
            continue
        try:
            files: Listing | Refused = list_files(folder, released)
        except Refused as refused:
            files = refused
        own_time = None if isinstance(files, Refused) else _own_time(folder)
        received = receipts.get(student) or own_time
        for name, path in released.items():
            job = {"student": student, "assignment": assignment, "notebook": name}
            job |= {"received": received, "released": str(path)}
            spooled, digest, reason = "", "", ""
            try:
                if isinstance(files, Refused):
                    raise files
                is_blank = partial(_is_blank, folder, released=given[name])
                if (file := find(files, name, released, is_blank)) is not None:
                    data = read_regular(folder, file)
                    digest = _digest(data)
                    spooled = str(_spool(course, digest, data))
            except Refused as refused:
                reason = _printable(str(refused))
            parts = (assignment, student, name, digest or reason, versions[name], grader_version())
            key = _digest("\0".join(parts).encode())[:24]
            yield Job(key, submission=digest, spooled=spooled, reason=reason, **job)


def _read_released(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        _sources(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AutograderError(
            f"{path} is no notebook ({type(error).__name__}), and students are graded against it: "
            "`make course` writes it again."
        ) from None
    return data


@cache
def grader_version() -> str:
    """Changes with every line of the grader and of the library: then all is decided again."""
    root = Path(__file__).parents[1]
    files = sorted(f for name in ("autograder", "mnistdiff") for f in (root / name).rglob("*.py"))
    return _digest(b"".join(_digest(path.read_bytes()).encode() for path in files))


def students(course: Path, assignment: str) -> list[tuple[str, Path]]:
    """Names (NFC) and folders of all who handed in."""
    root = course / "submitted"
    if not root.is_dir():
        raise AutograderError(f"{root} does not exist: no one has handed in, or --course is wrong.")
    found: dict[str, Path] = {}
    seen: dict[str, str] = {}
    for entry in sorted(os.scandir(root), key=lambda e: e.name):
        folder = Path(entry.path) / assignment
        if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
            continue
        if not _is_there(folder):
            continue
        name = unicodedata.normalize("NFC", entry.name)
        shown = clean(name)  # as marks are exported: a blank of no width is not
        if shown in seen:
            raise AutograderError(
                f"{entry.path!r} and {seen[shown]!r} are the same name to the eye; rename one."
            )
        seen[shown] = entry.path
        if not STUDENT.fullmatch(name) or _printable(name) != name:
            raise AutograderError(f"{entry.path!r} is no name of a student: rename the folder.")
        found[name] = folder
    return list(found.items())


def passed_over(course: Path, assignment: str) -> list[str]:
    """A line for each thing in submitted/ that may hold work, and is no folder of an assignment."""
    where = f"passed over: work is looked for in submitted/STUDENT/{assignment}/"
    found = []
    for entry in sorted(os.scandir(course / "submitted"), key=lambda e: e.name):
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name.startswith(".") or (is_folder and _is_there(Path(entry.path) / assignment)):
            continue
        if not is_folder or _holds_files(Path(entry.path)):
            found.append(f"{_printable(entry.name)}: {where}")
    return found


def _holds_files(folder: Path) -> bool:
    """Whether something lies in it; what cannot be looked at may."""
    try:
        with os.scandir(folder) as inside:
            return any(entry.is_file() and not entry.name.startswith(".") for entry in inside)
    except OSError:
        return True


def _is_there(folder: Path) -> bool:
    """Whether something was handed in; what cannot be looked at was."""
    try:
        os.lstat(folder)
    except FileNotFoundError:
        return False
    except OSError:  # `list_files` says why
        return True
    return True


def _printable(text: str) -> str:
    """A text without what commands a terminal, or cannot be written to a file."""
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def _is_blank(folder: Path, name: str, released: bytes) -> bool:
    """Whether a file holds the cells that were given out, and no others."""
    try:
        found, given = (_sources(data) for data in (read_regular(folder, name), released))
    except (Refused, ValueError, KeyError, TypeError, RecursionError):
        return False
    return found == given


def _sources(notebook: bytes) -> list[str]:
    """The texts of a notebook's cells, without blank ones and blanks at the end."""
    cells = json.loads(notebook)["cells"]
    texts = ["".join(cell["source"]).rstrip() for cell in cells]
    return [text for text in texts if text]


def read_regular(folder: Path, name: str) -> bytes:
    """A file's bytes. Raises Refused for links, devices, folders and what is too large."""
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(f"{name} cannot be read: {error.strerror}; a link is not followed") from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise Refused(f"{name} is no regular file")
        if about.st_nlink > 1 and about.st_uid != os.stat(folder).st_uid:
            raise Refused(f"{name} is a link to someone else's file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_BYTES:
        raise Refused(f"{name} is larger than {MAX_BYTES >> 20} MB; clear its outputs")
    return data


def _spool(course: Path, digest: str, data: bytes) -> Path:
    """A copy under the name of its own digest; one that was damaged is written again."""
    path = course / ".autograder" / "spool" / f"{digest}.ipynb"
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(data)
        new.replace(path)
    return path


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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


def _own_time(folder: Path) -> str | None:
    """What timestamp.txt says, the submission's own word: nbgrader goes by it, too."""
    try:
        return as_utc(read_regular(folder, "timestamp.txt").decode().strip())
    except (Refused, ValueError, OverflowError):  # the year 1, in a zone east of ours
        return None


def as_utc(text: str) -> str:
    """A time as ISO text in UTC; one without a zone is taken as UTC."""
    text = text.removesuffix(" UTC")
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
