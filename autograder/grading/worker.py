"""One process that grades: holds the checks and a warm sandbox parent, takes jobs one by one.

Jobs come in as lines of JSON, and verdicts go out as such; see `runner`.
"""

import contextlib
import json
import os
import re
import sys
import time
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

from autograder import fast_imports  # noqa: F401  first

# isort: split
import nbformat

from autograder.grading.pools import UNSAFE
from autograder.sandbox.process import Died, Nursery
from autograder.submissions.intake import Job

MAX_CELLS = 5_000
MAX_NAMED = 100  # pictures pasted into one cell, say
VERSION = ("nbformat", "nbformat_minor")
TEXT = ("source", "input", "code", "text")  # the last two of format 1
CELL = ("cell_type", "id", "level", "language", *TEXT)


class Unreadable(Exception):
    """Why a submitted file is no notebook, in words."""


def read_notebook(path: str) -> nbformat.NotebookNode:
    """A submitted notebook in today's format. Raises Unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = json.loads(Path(path).read_bytes())  # UTF-8, -16 or -32
            if not isinstance(raw, dict) or not isinstance(raw.get("nbformat"), int):
                raise Unreadable("it is JSON, but no notebook")
            notebook = nbformat.convert(nbformat.from_dict(_pruned(raw)), 4)
            cells = notebook.cells
            whole = isinstance(cells, list) and all(_is_cell(cell) for cell in cells)
    except Unreadable:
        raise
    except Exception as error:  # nbformat fails in many ways on what is no notebook
        said = re.sub(r"[^ -~]+", " ", f"{type(error).__name__}: {error}"[:200])
        raise Unreadable(f"it is no notebook ({said})") from None
    if not whole:
        raise Unreadable("one of its cells is none")
    return notebook


def _pruned(raw: dict[str, Any]) -> dict[str, Any]:
    """What grading reads of a notebook: the rest may take two hundred times its size, once read."""
    kept = {key: raw[key] for key in VERSION if isinstance(raw.get(key), int | float)}
    kept["metadata"] = {}
    if isinstance(sheets := raw.get("worksheets"), list):  # of format 3: one notebook in the end
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        kept["worksheets"] = [{"cells": _cells(cells), "metadata": {}}]
    return kept | {"cells": _cells(raw["cells"])} if "cells" in raw else kept


def _cells(cells: Any) -> Any:
    if not isinstance(cells, list):
        raise Unreadable("its cells are no list")
    if len(cells) > MAX_CELLS:
        raise Unreadable(f"it has {len(cells)} cells, more than {MAX_CELLS}")
    return [_pruned_cell(cell) if isinstance(cell, dict) else None for cell in cells]


def _pruned_cell(cell: dict[str, Any]) -> dict[str, Any]:
    kept = {key: cell[key] for key in CELL if isinstance(cell.get(key), str | int)}
    for key in TEXT:
        if isinstance(cell.get(key), list):
            kept[key] = "".join(map(str, cell[key]))
    about = cell["metadata"] if isinstance(cell.get("metadata"), dict) else {}
    role = _plain(about.get("nbgrader"))
    kept["metadata"] = {"nbgrader": role} if role else {}
    if isinstance(found := cell.get("attachments"), dict):
        pictures = islice(found.items(), MAX_NAMED)
        kept["attachments"] = {name: _plain(picture) for name, picture in pictures}
    return kept | {"outputs": []} if cell.get("cell_type") == "code" else kept


def _plain(found: Any) -> dict[str, Any]:
    """What is no collection in a dictionary: nothing in what is none."""
    entries = islice(found.items(), MAX_NAMED) if isinstance(found, dict) else ()
    return {key: value for key, value in entries if not isinstance(value, dict | list)}


def _is_cell(cell: Any) -> bool:
    """Whether this is a cell; its text is made one that any file can hold."""
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        return False
    if not isinstance(source := cell.get("source"), str):
        return False
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    cell["source"] = source.encode("utf-8", "replace").decode()
    if not isinstance(cell.get("metadata"), dict):
        cell["metadata"] = nbformat.NotebookNode()
    return True


class Worker:
    """Grades jobs with one warm parent; a new one is started when it is lost."""

    def __init__(self) -> None:
        self.nursery = Nursery(unsafe=bool(os.environ.get(UNSAFE)))

    def grade(self, job: Job, keep: Path) -> dict[str, Any]:
        """The ledger's record of a job; the executed notebook is kept in the folder."""
        if job.reason:
            return job.record("rejected", reason=job.reason)
        if not job.spooled:
            return job.record("missing", reason="it was not handed in")
        from autograder.grading.notebook_run import grade_notebook

        try:
            submitted = read_notebook(job.spooled)
        except Unreadable as unreadable:
            return job.record("rejected", reason=str(unreadable))
        released = nbformat.read(job.released, as_version=4)
        graded = grade_notebook(released, submitted, (job.assignment, job.student), self.nursery)
        keep.mkdir(parents=True, exist_ok=True)
        path = keep / f"{job.key}.ipynb"
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(nbformat.writes(graded.notebook), encoding="utf-8")
        new.replace(path)
        return job.record("graded", verdict=graded.verdict)

    def close(self) -> None:
        self.nursery.close()


def main() -> None:
    """Serve until the runner hangs up."""
    worker = Worker()
    import torch

    import autograder.grading.notebook_run  # noqa: F401  the checks are loaded before any student code runs

    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # nothing else writes where the answers go
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        order = json.loads(line)
        job = Job(**order["job"])
        try:
            record = worker.grade(job, Path(order["keep"]))
        except Died as died:  # not the student's doing: another sandbox may do
            record = job.record("failed", reason=str(died))
            worker.close()
            worker = Worker()
        except Exception as error:
            record = job.record("failed", reason=f"{type(error).__name__}: {error}"[:500])
        print(json.dumps(record | {"time": time.time()}), file=answers)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the grader is gone
        main()
