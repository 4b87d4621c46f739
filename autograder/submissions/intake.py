"""Take in submissions: check, hash and copy each submitted notebook, and make the jobs.

The grader works on the copies only. So it does not matter if a submitted file changes later, or
becomes a link to another file.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from autograder.errors import AutograderError
from autograder.submissions.files import Listing, SubmissionRefused, find, list_files, read_regular
from autograder.submissions.job import Job
from autograder.submissions.receipts import about_times, own_time, read_receipts
from autograder.submissions.release import (
    PACKAGES,
    read_released,
    released_notebooks,
    sources_of,
    without_points,
)
from autograder.text import drop_controls, replace_controls

STUDENT = re.compile(r"[^/\0\n\r]{1,100}")


def jobs(course: Path, assignment: str, only: set[str] | None = None) -> Iterator[Job]:
    """Yield a job for each student and released notebook, in the order of names."""
    released = released_notebooks(course, assignment)
    given = {name: read_released(path) for name, path in released.items()}
    versions = {name: _digest(data) for name, data in given.items()}
    receipts = read_receipts(course, assignment)
    for student, folder in students(course, assignment):
        if only is not None and student not in only:
            continue
        try:
            files: Listing | SubmissionRefused = list_files(folder, released)
        except SubmissionRefused as refused:
            files = refused
        received = receipts.get(student)
        if not receipts and not isinstance(files, SubmissionRefused):
            received = own_time(folder)
        for name, path in released.items():
            spooled, digest, reason = "", "", ""
            try:
                if isinstance(files, SubmissionRefused):
                    raise files
                is_blank = partial(_is_blank, folder, released=given[name])
                if (file := find(files, name, released, is_blank)) is not None:
                    data = read_regular(folder, file)
                    digest = _digest(data)
                    spooled = str(_spool(course, digest, data))
            except SubmissionRefused as refused:
                reason = replace_controls(str(refused))
            parts = (assignment, student, name, digest or reason, versions[name], grader_version())
            key = _digest("\0".join(parts).encode())[:24]
            yield Job(
                key=key,
                student=student,
                assignment=assignment,
                notebook=name,
                submission=digest,
                received=received,
                spooled=spooled,
                released=str(path),
                reason=reason,
            )


@cache
def grader_version() -> str:
    """Return a digest of all code of the grader and the library: if it changes, regrade."""
    names = ("autograder", "mnistdiff")
    files = sorted(file for name in names for file in (PACKAGES / name).rglob("*.py"))
    return _digest(b"".join(_digest(path.read_bytes()).encode() for path in files))


def students(course: Path, assignment: str) -> list[tuple[str, Path]]:
    """Return the names (NFC) and folders of all students who handed in."""
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
        shown = drop_controls(name)  # as in exports, which drop e.g. blanks without width
        if shown in seen:
            raise AutograderError(
                f"{entry.path!r} and {seen[shown]!r} look like the same name; rename one."
            )
        seen[shown] = entry.path
        if not STUDENT.fullmatch(name) or replace_controls(name) != name:
            raise AutograderError(f"{entry.path!r} is not a valid student name: rename the folder.")
        found[name] = folder
    return list(found.items())


def remarks(course: Path, assignment: str) -> list[str]:
    """Return a line for each file, folder and time that is not taken into account."""
    times = about_times(course, assignment, dict(students(course, assignment)))
    lines = [*without_points(course, assignment), *passed_over(course, assignment), *times]
    return [replace_controls(drop_controls(line)) for line in lines]


def passed_over(course: Path, assignment: str) -> list[str]:
    """Return a line for each entry of submitted/ that may hold work but is not graded."""
    where = f"passed over: only submitted/STUDENT/{assignment}/ is graded"
    found = []
    for entry in sorted(os.scandir(course / "submitted"), key=lambda e: e.name):
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name.startswith(".") or (is_folder and _is_there(Path(entry.path) / assignment)):
            continue
        if not is_folder or _holds_files(Path(entry.path)):
            found.append(f"{replace_controls(entry.name)}: {where}")
    return found


def _holds_files(folder: Path) -> bool:
    """Return whether a folder holds files; True if it cannot be read."""
    try:
        with os.scandir(folder) as inside:
            return any(entry.is_file() and not entry.name.startswith(".") for entry in inside)
    except OSError:
        return True


def _is_there(folder: Path) -> bool:
    """Return whether something was handed in; True if that cannot be determined."""
    try:
        os.lstat(folder)
    except FileNotFoundError:
        return False
    except OSError:  # `list_files` reports why
        return True
    return True


def _is_blank(folder: Path, name: str, released: bytes) -> bool:
    """Return whether a file holds exactly the released cells."""
    try:
        found, given = (sources_of(data) for data in (read_regular(folder, name), released))
    except (SubmissionRefused, ValueError, KeyError, TypeError, RecursionError):
        return False
    return found == given


def _spool(course: Path, digest: str, data: bytes) -> Path:
    """Write a copy named by its digest, and return its path; a damaged copy is replaced."""
    path = course / ".autograder" / "spool" / f"{digest}.ipynb"
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(data)
        new.replace(path)
    return path


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
