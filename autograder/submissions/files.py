"""Find the submitted file for each released notebook.

The exact name counts; otherwise the only file with a similar name, because browsers add " (1)" and
Colab adds "Copy of ". A person decides all doubtful cases: a notebook is not called missing or
blank while another file may hold the work.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

MAX_FILES = 200  # of one submission
# Endings of files that cannot hold a notebook. Any other file may.
BESIDE = (".txt", ".md", ".csv", ".log", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp",
          ".toml", ".yml", ".yaml", ".ini", ".cfg", ".lnk", ".url",
          ".py", ".pyc", ".npy", ".npz", ".pt", ".pth", ".safetensors",
          "-ubyte", "-ubyte.gz")  # fmt: skip


NOTEBOOK = (".ipynb", ".ipynb.json", ".ipynb.txt")  # browsers add the last two
# What operating systems, editors and Jupyter leave in a folder; macOS writes a ._ file beside each.
LEFT = re.compile(
    r"\._.*|\.ds_store|desktop\.ini|thumbs\.db|icon\r|__macosx|\.ipynb_checkpoints|__pycache__"
    r"|\.git.*|\.vscode|\.idea|\.\w+_cache|\.venv|~\$.*|\.~lock.*|\.nfs.*",
    re.IGNORECASE,
)


class SubmissionRefused(Exception):
    """A submission cannot be graded; the message says why."""


class Listing(NamedTuple):
    """The names of the files in a submission's folder."""

    notebooks: list[str]
    others: list[str]  # other files that may hold a notebook


def list_files(folder: Path, released: Iterable[str]) -> Listing:
    """Return a submission's notebooks, and other files that may hold one.

    Raises SubmissionRefused if the folder cannot be read, or holds more than MAX_FILES files.
    """
    try:
        if folder.is_symlink() or not folder.is_dir():
            raise SubmissionRefused("the submission is not a folder (links are not followed)")
        with os.scandir(folder) as entries:
            found = sorted(islice(entries, MAX_FILES + 1), key=lambda entry: entry.name)
    except OSError as error:
        raise SubmissionRefused(f"the folder cannot be read: {error.strerror}") from None
    if len(found) > MAX_FILES:
        raise SubmissionRefused(f"the folder holds more than {MAX_FILES} files")
    found = [entry for entry in found if not LEFT.fullmatch(entry.name)]
    notebooks = [e.name for e in found if e.name[0] != "." and is_notebook(e.name)]
    others = [e for e in found if e.name not in notebooks and may_be_work(e)]
    if notebooks:  # otherwise any file may hold the work
        named = [_letters(name) for name in released]
        others = [entry for entry in others if _may_hold(entry, named)]
    return Listing(notebooks, [entry.name for entry in others if entry.name != "timestamp.txt"])


def find(
    files: Listing, name: str, released: Iterable[str], is_blank: Callable[[str], bool]
) -> str | None:
    """Return the submitted file for a released notebook, None if it was not handed in.

    `is_blank(file)` returns whether a file holds only the released text. Raises SubmissionRefused
    if several files may be the notebook.
    """
    exact, named = f"{name}.ipynb", [_letters(other) for other in released]
    similar = [file for file in files.notebooks if _letters(name) in _letters(file)]
    stray = [file for file in (*files.notebooks, *files.others) if not _is_like(file, named)]
    other = [file for file in files.others if _letters(name) in _letters(file)]
    if exact in similar:
        copies = [file for file in similar if file != exact]
        doubt = (copies or other or stray) and is_blank(exact)  # slow, so only when in doubt
        if doubt and (rivals := [f for f in copies if not is_blank(f)] + other + stray):
            raise SubmissionRefused(
                f"{exact} is unchanged since its release; the work may be in {_list(rivals)}"
            )
        return exact
    if len(similar) > 1:
        raise SubmissionRefused(
            f"{exact} is missing, and several files may be it: {_list(similar)}"
        )
    if similar and not ((other or stray) and is_blank(similar[0])):
        return similar[0]
    if similar or other or stray:
        raise SubmissionRefused(f"{exact} is missing; the work may be in {_list(other + stray)}")
    return None


def may_be_work(entry: os.DirEntry) -> bool:
    """Return whether an entry is worth a look: hidden ones only if they hold a notebook."""
    if entry.name[0] != ".":
        return True
    return is_notebook(entry.name) or (
        entry.is_dir(follow_symlinks=False) and holds(entry.path, is_notebook)
    )


def holds(folder: str, wanted: Callable[[str], bool] = lambda name: True) -> bool:
    """Return whether there is such a file anywhere below a folder; True if it cannot be read."""
    try:
        return any(map(wanted, islice(_names_below(folder), MAX_FILES)))
    except OSError:
        return True


def _list(names: list[str]) -> str:
    return ", ".join(names[:5])


def is_notebook(name: str) -> bool:
    """Return whether a file has a notebook's name."""
    return name.casefold().endswith(NOTEBOOK)


def _may_hold(entry: os.DirEntry, released: list[str]) -> bool:
    """Return whether a notebook may be in a file, behind a link, or anywhere below a folder."""
    if entry.is_symlink() or not entry.is_dir():
        return entry.is_symlink() or _is_suspect(entry.name, released)
    try:
        names = list(islice(_names_below(entry.path), MAX_FILES))
    except OSError:  # it cannot be read
        return True
    suspects = any(_is_suspect(name, released) for name in names)
    return len(names) == MAX_FILES or suspects or _is_like(entry.name, released)


def _is_suspect(name: str, released: list[str]) -> bool:
    """Return whether a file is of an unknown kind, or has a name like a notebook's."""
    lower = name.casefold()
    return not lower.endswith(BESIDE) or "ipynb" in lower or _is_like(name, released)


def _is_like(name: str, released: list[str]) -> bool:
    return any(letters in _letters(name) for letters in released)


def _names_below(folder: str) -> Iterator[str]:
    """Yield the names of the files below a folder that a person may have put there.

    Raises OSError if a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not LEFT.fullmatch(name)]
        links = (name for name in folders if os.path.islink(os.path.join(place, name)))
        for name in (*files, *links):
            if not LEFT.fullmatch(name) and (name[0] != "." or is_notebook(name)):
                yield name


def _letters(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name).casefold())


MAX_BYTES = 20 << 20  # of one notebook
MAX_BRACKETS = 1_000_000  # lists and dictionaries: once parsed, each takes up to 600 bytes


def read_regular(folder: Path, name: str) -> bytes:
    """Return a file's bytes.

    Raises SubmissionRefused for a link, a device, a folder, or a file that would take too much
    memory: more than MAX_BYTES, or more than MAX_BRACKETS.
    """
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise SubmissionRefused(
            f"{name} cannot be read: {error.strerror} (links are not followed)"
        ) from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise SubmissionRefused(f"{name} is not a regular file")
        if about.st_nlink > 1 and about.st_uid != os.stat(folder).st_uid:
            raise SubmissionRefused(f"{name} is a link to someone else's file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_BYTES:
        raise SubmissionRefused(f"{name} is larger than {MAX_BYTES >> 20} MB; clear its outputs")
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise SubmissionRefused(
            f"{name} holds more than {MAX_BRACKETS:,} lists and dictionaries; clear its outputs"
        )
    return data


MAX_HELPERS, MAX_HELPER_BYTES = 50, 512 << 10  # of one submission, together


def read_helpers(folder: Path) -> dict[str, bytes]:
    """Return the Python files beside the notebooks, and in folders beside them, by their paths.

    Raises SubmissionRefused if one cannot be taken, or if they are too many or too large.
    """
    found: dict[str, bytes] = {}
    for place in ("", *_plain_folders(folder)):
        for name in _python_files(folder / place):
            found[os.path.join(place, name)] = read_regular(folder / place, name)
            if len(found) > MAX_HELPERS or sum(map(len, found.values())) > MAX_HELPER_BYTES:
                raise SubmissionRefused(
                    f"more than {MAX_HELPERS} Python files, or {MAX_HELPER_BYTES >> 10} KB of them"
                )
    return found


def _plain_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    return sorted(name for name in found if name[0] != "." and not LEFT.fullmatch(name))


def _python_files(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        files = [e.name for e in entries if not e.is_dir(follow_symlinks=False)]
    return sorted(name for name in files if name.endswith(".py") and name[0] != ".")
