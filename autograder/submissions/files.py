"""Which of the files that were handed in is which of the released notebooks.

A file counts by its exact name, else as the only one that is named like it: browsers add " (1)",
and Colab puts "Copy of " before the name. What leaves a doubt is for a person: where something
else may hold the work, no notebook is called missing, or blank.
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
# How the names of files end that lie beside notebooks, and hold none. Any other may.
BESIDE = (".txt", ".md", ".csv", ".log", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg",
          ".py", ".pyc", ".npy", ".npz", ".pt", ".pth", ".safetensors",
          "-ubyte", "-ubyte.gz")  # fmt: skip


class SubmissionRefused(Exception):
    """Why a file is not taken, in words."""


class Listing(NamedTuple):
    """What is in a submission's folder, by name."""

    notebooks: list[str]
    others: list[str]  # what a notebook may be in, or may have been


def list_files(folder: Path, released: Iterable[str]) -> Listing:
    """A submission's notebooks, and what else may hold one. Raises Refused."""
    try:
        if folder.is_symlink() or not folder.is_dir():
            raise SubmissionRefused("what was handed in is no folder; a link is not followed")
        with os.scandir(folder) as entries:
            found = sorted(islice(entries, MAX_FILES + 1), key=lambda entry: entry.name)
    except OSError as error:
        raise SubmissionRefused(f"the folder cannot be read: {error.strerror}") from None
    if len(found) > MAX_FILES:
        raise SubmissionRefused(f"more than {MAX_FILES} files")
    notebooks = [e.name for e in found if _is_notebook(e.name)]
    others = [e for e in found if e.name[0] != "." and not _is_notebook(e.name)]
    if notebooks:  # without any, the work may be in whatever is there
        named = [_letters(name) for name in released]
        others = [entry for entry in others if _may_hold(entry, named)]
    return Listing(notebooks, [entry.name for entry in others if entry.name != "timestamp.txt"])


def find(
    files: Listing, name: str, released: Iterable[str], is_blank: Callable[[str], bool]
) -> str | None:
    """The submitted file for a released notebook, None where it was not handed in.

    `is_blank(file)` tells whether a file holds what was given out and no more. Raises Refused.
    """
    exact, named = f"{name}.ipynb", [_letters(other) for other in released]
    like = [file for file in files.notebooks if _letters(name) in _letters(file)]
    stray = [file for file in (*files.notebooks, *files.others) if not _is_like(file, named)]
    other = [file for file in files.others if _letters(name) in _letters(file)]
    if exact in like:
        copies = [file for file in like if file != exact]
        doubt = (copies or other or stray) and is_blank(exact)  # it takes a while to see that
        if doubt and (rivals := [f for f in copies if not is_blank(f)] + other + stray):
            raise SubmissionRefused(
                f"{exact} is as it was given out; is the work in {_list(rivals)}?"
            )
        return exact
    if len(like) > 1:
        raise SubmissionRefused(f"{exact} is not there, but {_list(like)}: which one counts?")
    if like and not ((other or stray) and is_blank(like[0])):
        return like[0]
    if like or other or stray:
        raise SubmissionRefused(
            f"{exact} is not there, but {_list(other + stray)}: is it that, or in there?"
        )
    return None


def _list(names: list[str]) -> str:
    return ", ".join(names[:5])


def _is_notebook(name: str) -> bool:
    return name.casefold().endswith(".ipynb")


def _may_hold(entry: os.DirEntry, released: list[str]) -> bool:
    """Whether there may be a notebook in a file, behind a link, or somewhere below a folder."""
    if entry.is_symlink() or not entry.is_dir():
        return entry.is_symlink() or _is_suspect(entry.name, released)
    try:
        names = list(islice(_names_below(entry.path), MAX_FILES))
    except OSError:  # it cannot be looked into
        return True
    suspects = any(_is_suspect(name, released) for name in names)
    return len(names) == MAX_FILES or suspects or _is_like(entry.name, released)


def _is_suspect(name: str, released: list[str]) -> bool:
    """Whether a file is of an unknown kind, or is named like a notebook or a released one."""
    lower = name.casefold()
    return not lower.endswith(BESIDE) or "ipynb" in lower or _is_like(name, released)


def _is_like(name: str, released: list[str]) -> bool:
    return any(letters in _letters(name) for letters in released)


def _names_below(folder: str) -> Iterator[str]:
    """Names of files below a folder. Raises OSError where one cannot be read."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        links = (name for name in folders if os.path.islink(os.path.join(place, name)))
        yield from (name for name in (*files, *links) if name[0] != ".")


def _letters(name: str) -> str:
    """A file's name without case, blanks and signs."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name).casefold())


MAX_BYTES = 20 << 20  # of one notebook


def read_regular(folder: Path, name: str) -> bytes:
    """A file's bytes. Raises Refused for links, devices, folders and what is too large."""
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise SubmissionRefused(
            f"{name} cannot be read: {error.strerror}; a link is not followed"
        ) from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise SubmissionRefused(f"{name} is no regular file")
        if about.st_nlink > 1 and about.st_uid != os.stat(folder).st_uid:
            raise SubmissionRefused(f"{name} is a link to someone else's file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_BYTES:
        raise SubmissionRefused(f"{name} is larger than {MAX_BYTES >> 20} MB; clear its outputs")
    return data
