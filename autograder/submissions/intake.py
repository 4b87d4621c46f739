"""What was handed in: regular files only, sized and counted, hashed and copied aside.

Nothing of a submission is opened again after this: the grader works on the copies, so a file that
changes, or is a link to something else by then, changes nothing.
"""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import autograder
from autograder.errors import AutograderError
from autograder.submissions.files import Listing, SubmissionRefused, find, list_files, read_regular
from autograder.submissions.job import Job
from autograder.submissions.receipts import own_time, read_receipts
from autograder.text import drop_controls, replace_controls

STUDENT = re.compile(r"[^/\0\n\r]{1,100}")


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
            files: Listing | SubmissionRefused = list_files(folder, released)
        except SubmissionRefused as refused:
            files = refused
        stated = None if isinstance(files, SubmissionRefused) else own_time(folder)
        received = receipts.get(student) or stated
        for name, path in released.items():
            job = {"student": student, "assignment": assignment, "notebook": name}
            job |= {"received": received, "released": str(path)}
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
    root = Path(autograder.__file__).parents[1]
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
        shown = drop_controls(name)  # as marks are exported: a blank of no width is not
        if shown in seen:
            raise AutograderError(
                f"{entry.path!r} and {seen[shown]!r} are the same name to the eye; rename one."
            )
        seen[shown] = entry.path
        if not STUDENT.fullmatch(name) or replace_controls(name) != name:
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
            found.append(f"{replace_controls(entry.name)}: {where}")
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


def _is_blank(folder: Path, name: str, released: bytes) -> bool:
    """Whether a file holds the cells that were given out, and no others."""
    try:
        found, given = (_sources(data) for data in (read_regular(folder, name), released))
    except (SubmissionRefused, ValueError, KeyError, TypeError, RecursionError):
        return False
    return found == given


def _sources(notebook: bytes) -> list[str]:
    """The texts of a notebook's cells, without blank ones and blanks at the end."""
    cells = json.loads(notebook)["cells"]
    texts = ["".join(cell["source"]).rstrip() for cell in cells]
    return [text for text in texts if text]


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
