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
from typing import NamedTuple

from autograder.errors import AutograderError
from autograder.submissions.files import (
    LEFT,
    Listing,
    SubmissionRefused,
    find,
    holds,
    is_notebook,
    list_files,
    may_be_work,
    read_helpers,
    read_regular,
)
from autograder.submissions.job import Job
from autograder.submissions.receipts import about_times, own_time, read_receipts
from autograder.submissions.release import (
    PACKAGES,
    read_released,
    released_notebooks,
    sources_of,
    without_points,
)
from autograder.text import drop_controls, replace_controls, shown

MAX_NAME = 128  # characters of a student's name in nbgrader's gradebook
GLOB = re.compile(r"[*?\[]")


class Submission(NamedTuple):
    """One student's folder."""

    student: str  # NFC
    folder: Path
    reason: str = ""  # why it cannot be graded


def jobs(course: Path, assignment: str, only: set[str] | None = None) -> Iterator[Job]:
    """Yield a job for each student and released notebook, in the order of names."""
    released = released_notebooks(course, assignment)
    given = {name: read_released(path) for name, path in released.items()}
    versions = {name: _digest(data) for name, data in given.items()}
    receipts = read_receipts(course, assignment)
    for student, folder, doubt in submissions(course, assignment):
        if only is not None and student not in only:
            continue
        try:
            if doubt:
                raise SubmissionRefused(doubt)
            files: Listing | SubmissionRefused = list_files(folder, released)
        except SubmissionRefused as refused:
            files = refused
        received = receipts.get(student)
        if not receipts and not isinstance(files, SubmissionRefused):
            received = own_time(folder)
        helpers, remark = _take_helpers(course, folder, files)
        for name, path in released.items():
            spooled, digest, reason = "", "", ""
            try:
                if isinstance(files, SubmissionRefused):
                    raise files
                is_blank = partial(_is_blank, folder, released=given[name])
                if (file := find(files, name, released, is_blank)) is not None:
                    data = read_regular(folder, file)
                    digest = _digest(data)
                    spooled = str(_spool(course, f"{digest}.ipynb", data))
            except SubmissionRefused as refused:
                reason = replace_controls(str(refused))
            parts = [assignment, student, name, digest or reason, versions[name], grader_version()]
            parts += [part for helper in helpers for part in (helper[0], Path(helper[1]).stem)]
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
                helpers=helpers,
                remark=remark,
            )


def _take_helpers(
    course: Path, folder: Path, files: Listing | SubmissionRefused
) -> tuple[list[tuple[str, str]], str]:
    """Copy the Python files beside the notebooks; return their paths and copies, and a remark."""
    if isinstance(files, SubmissionRefused) or not files.notebooks:
        return [], ""
    try:
        found = read_helpers(folder)
    except (SubmissionRefused, OSError) as refused:
        return [], replace_controls(f"its Python files were not used: {refused}")
    copies = {name: _spool(course, f"{_digest(data)}.py", data) for name, data in found.items()}
    return [(name, str(path)) for name, path in copies.items() if _is_encodable(name)], ""


def _is_encodable(name: str) -> bool:
    return replace_controls(name) == name


@cache
def grader_version() -> str:
    """Return a digest of all code of the grader and the library: if it changes, regrade."""
    names = ("autograder", "mnistdiff")
    files = sorted(file for name in names for file in (PACKAGES / name).rglob("*.py"))
    return _digest(b"".join(_digest(path.read_bytes()).encode() for path in files))


def submissions(course: Path, assignment: str) -> list[Submission]:
    """Return the submissions of all students, by name.

    Folders whose names look the same are one submission, which a person must sort out.
    """
    found: dict[str, list[os.DirEntry]] = {}
    for entry in _entries(course):
        if _is_handed_in(entry, assignment) and _is_student(entry.name):
            # As in exports, which drop e.g. blanks without width.
            shown = drop_controls(unicodedata.normalize("NFC", entry.name))
            found.setdefault(shown, []).append(entry)
    return [_submission(shown, twins, assignment) for shown, twins in found.items()]


def _submission(shown: str, twins: list[os.DirEntry], assignment: str) -> Submission:
    folder = Path(twins[0].path) / assignment
    if len(twins) == 1:
        return Submission(unicodedata.normalize("NFC", twins[0].name), folder)
    named = " and ".join(ascii(entry.name) for entry in twins)
    return Submission(shown, folder, f"the folders {named} look like the same name: rename one")


def _entries(course: Path) -> list[os.DirEntry]:
    """Return what lies in submitted/, without what systems and editors leave there."""
    root = course / "submitted"
    if not root.is_dir():
        raise AutograderError(f"{root} does not exist: no one has handed in, or --course is wrong.")
    found = sorted(os.scandir(root), key=lambda entry: entry.name)
    return [entry for entry in found if not LEFT.fullmatch(entry.name) and may_be_work(entry)]


def _is_handed_in(entry: os.DirEntry, assignment: str) -> bool:
    if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
        return False
    return _is_there(Path(entry.path) / assignment)


def _is_student(name: str) -> bool:
    """Return whether this can be the name of a student in the gradebook and in other systems."""
    short = len(unicodedata.normalize("NFC", name)) <= MAX_NAME
    return short and replace_controls(name) == name and bool(drop_controls(name).strip())


def remarks(course: Path, assignment: str) -> list[str]:
    """Return a line for each thing in submitted/ that is not graded, or needs another name."""
    known = _assignments(course) | {assignment}
    found = without_points(course, assignment)
    for entry in _entries(course):
        who = shown(entry.name)
        if entry.name.startswith("."):
            found.append(f"{who}: passed over: its name begins with a dot")
        elif not entry.is_dir(follow_symlinks=False):
            found.append(f"{who}: passed over: only submitted/STUDENT/{assignment}/ is graded")
        elif _is_handed_in(entry, assignment) and not _is_student(entry.name):
            text = f"at most {MAX_NAME} characters, and none that commands a terminal"
            found.append(f"{who}: passed over: a student's name has {text}; rename the folder")
        else:
            found += _beside(entry, assignment, known)
            if _is_handed_in(entry, assignment) and GLOB.search(entry.name):
                found.append(f"{who}: nbgrader writes no feedback for a name with * ? or [")
    folders = {each.student: each.folder for each in submissions(course, assignment)}
    times = about_times(course, assignment, folders)
    return found + [replace_controls(drop_controls(line)) for line in times]


def _beside(entry: os.DirEntry, assignment: str, known: set[str]) -> list[str]:
    """Return a line if files of a student lie outside the folders of the assignments."""
    handed_in = _is_handed_in(entry, assignment)
    try:
        inner = sorted(os.scandir(entry.path), key=lambda each: each.name)
    except OSError:
        inner = []
    named = [e.name for e in inner if e.name not in known and _is_lost(e, handed_in)]
    if not named:
        return []
    who = shown(entry.name)
    if not handed_in and any(e.name in named and not e.is_dir() for e in inner):
        return [f"{who}: passed over: only submitted/STUDENT/{assignment}/ is graded"]
    where = ", ".join(f"{who}/{shown(name)}" for name in named[:5])
    return [f"{where}: passed over: only submitted/STUDENT/{assignment}/ is graded"]


def _is_lost(entry: os.DirEntry, handed_in: bool) -> bool:
    """Return whether an entry holds work: any file, or a notebook if the student handed in more."""
    if LEFT.fullmatch(entry.name) or not may_be_work(entry):
        return False
    wanted = is_notebook if handed_in else lambda name: True
    if entry.is_dir(follow_symlinks=False):
        return holds(entry.path, wanted)
    return wanted(entry.name)


def _assignments(course: Path) -> set[str]:
    """Return the names of the course's assignments."""
    folders = (course / "release", course / "source")
    return {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}


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


def _spool(course: Path, name: str, data: bytes) -> Path:
    """Write a copy named by its digest, and return its path; a damaged copy is replaced."""
    path = course / ".autograder" / "spool" / name
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(data)
        new.replace(path)
    return path


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
