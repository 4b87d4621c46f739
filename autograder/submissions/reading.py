"""Read a submitted file as a notebook of the current format, keeping only what grading reads."""

import json
import re
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

from autograder import fast_imports  # noqa: F401  first

# isort: split
import nbformat

from mnistdiff.course.dependencies import MAX_CELL

MAX_CELLS = 5_000
MAX_NAMED = 100  # entries of one dictionary, e.g. pictures pasted into a cell
MAX_PICTURES = 1_000  # of all cells; each is a dictionary of its own
MAX_LINES = 1_000_000  # of all cells; each line is a text of its own for a while
# Characters of all code cells that are parsed: a syntax tree takes a thousand times its text.
MAX_CODE = 1_000_000
VERSION = ("nbformat", "nbformat_minor")
TEXT = ("source", "input", "code", "text")  # the last two of format 1
CELL = ("cell_type", "id", "level", "language", *TEXT)


class UnreadableNotebook(Exception):
    """A submitted file is not a notebook; the message says why."""


def read_notebook(path: str) -> nbformat.NotebookNode:
    """Return a submitted notebook in format 4. Raises UnreadableNotebook if it is not one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = json.loads(Path(path).read_bytes())  # UTF-8, -16 or -32
            if not isinstance(raw, dict) or not isinstance(raw.get("nbformat"), int):
                raise UnreadableNotebook("it is JSON, but not a notebook")
            notebook = nbformat.convert(nbformat.from_dict(_pruned(raw)), 4)
            cells = notebook.cells
            whole = isinstance(cells, list) and all(_is_cell(cell) for cell in cells)
    except UnreadableNotebook:
        raise
    except Exception as error:  # nbformat raises many kinds of errors
        message = re.sub(r"[^ -~]+", " ", f"{type(error).__name__}: {error}"[:200])
        raise UnreadableNotebook(f"it is not a notebook ({message})") from None
    if not whole:
        raise UnreadableNotebook("one of its cells is not a valid notebook cell")
    if (lines := sum(c.source.count("\n") for c in cells)) > MAX_LINES:
        raise UnreadableNotebook(f"it has {lines:,} lines, more than {MAX_LINES:,}")
    sizes = [len(cell.source) for cell in cells if cell.cell_type == "code"]
    if (size := sum(size for size in sizes if size <= MAX_CELL)) > MAX_CODE:
        raise UnreadableNotebook(f"it has {size:,} characters of code, more than {MAX_CODE:,}")
    return notebook


def _pruned(raw: dict[str, Any]) -> dict[str, Any]:
    """Keep what grading reads; once parsed, the rest may take two hundred times its size."""
    kept = {key: raw[key] for key in VERSION if isinstance(raw.get(key), int | float)}
    kept["metadata"] = {}
    if isinstance(sheets := raw.get("worksheets"), list):  # format 3: join its sheets
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        kept["worksheets"] = [{"cells": _cells(cells), "metadata": {}}]
    return kept | {"cells": _cells(raw["cells"])} if "cells" in raw else kept


def _cells(cells: Any) -> Any:
    if not isinstance(cells, list):
        raise UnreadableNotebook("its cells are not a list")
    if len(cells) > MAX_CELLS:
        raise UnreadableNotebook(f"it has {len(cells)} cells, more than {MAX_CELLS}")
    kept = [_pruned_cell(cell) if isinstance(cell, dict) else None for cell in cells]
    if (count := sum(len(cell.get("attachments", ())) for cell in kept if cell)) > MAX_PICTURES:
        raise UnreadableNotebook(f"it has {count} pasted pictures, more than {MAX_PICTURES}")
    return kept


def _pruned_cell(cell: dict[str, Any]) -> dict[str, Any]:
    kept = {key: cell[key] for key in CELL if isinstance(cell.get(key), str | int)}
    for key in TEXT:
        if isinstance(cell.get(key), list):
            kept[key] = "".join(map(str, cell[key]))
    about = cell["metadata"] if isinstance(cell.get("metadata"), dict) else {}
    role = _scalars(about.get("nbgrader"))
    kept["metadata"] = {"nbgrader": role} if role else {}
    if isinstance(found := cell.get("attachments"), dict):
        pictures = islice(found.items(), MAX_NAMED)
        kept["attachments"] = {name: _scalars(picture) for name, picture in pictures}
    return kept | {"outputs": []} if cell.get("cell_type") == "code" else kept


def _scalars(found: Any) -> dict[str, Any]:
    """Keep only the scalar values; `{}` if the input is not a dict."""
    entries = islice(found.items(), MAX_NAMED) if isinstance(found, dict) else ()
    return {key: value for key, value in entries if not isinstance(value, dict | list)}


def _is_cell(cell: Any) -> bool:
    """Return whether this is a cell, after making its text safe to write to a file."""
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        return False
    if not isinstance(source := cell.get("source"), str):
        return False
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    cell["source"] = source.encode("utf-8", "replace").decode()
    if not isinstance(cell.get("metadata"), dict):
        cell["metadata"] = nbformat.NotebookNode()
    return True
