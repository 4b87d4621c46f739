"""Read the notebooks that students were given, and refuse what this library cannot run."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError

PACKAGES = Path(str(resources.files("autograder"))).parent  # the grader beside the library
IMPORTS = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+(mnistdiff[\w.]*)(?:[ \t]+import[ \t]+([\w, ]+))?",
    re.MULTILINE,
)


def released_notebooks(course: Path, assignment: str) -> dict[str, Path]:
    """Return the notebooks that students were given, by name: those with graded cells."""
    folder = course / "release" / assignment
    found = {path.stem: path for path in _files(course, assignment) if points_in(path)}
    if not found:
        raise AutograderError(
            f"{folder} has no notebooks with points; `make course` (or nbgrader "
            "generate_assignment) creates the release."
        )
    return found


def without_points(course: Path, assignment: str) -> list[str]:
    """Return a line for each notebook in the release's folder that nobody has to hand in."""
    where = "passed over: none of its cells is worth points, so nobody has to hand it in"
    return [f"{path}: {where}" for path in _files(course, assignment) if not points_in(path)]


def released_points(course: Path, assignment: str) -> dict[tuple[str, str], float]:
    """Return the points of every graded cell, by (notebook, grade_id), in the course's order."""
    return {
        (name, cell): points
        for name, path in released_notebooks(course, assignment).items()
        for cell, points in points_in(path).items()
    }


def points_in(path: Path) -> dict[str, float]:
    """Return the points of each graded cell of a released notebook, by grade_id."""
    return {r["grade_id"]: float(r["points"]) for r in roles_in(path) if r.get("grade")}


def roles_in(path: Path) -> list[dict[str, Any]]:
    """Return the grading roles of a released notebook's cells. Raises as `read_released`."""
    cells = json.loads(read_released(path))["cells"]
    found = (cell.get("metadata", {}).get("nbgrader") for cell in cells)
    return [role for role in found if role]


def _files(course: Path, assignment: str) -> list[Path]:
    found = sorted((course / "release" / assignment).glob("*.ipynb"))
    return [path for path in found if not path.name.startswith(".")]  # macOS writes ._ files


def read_released(path: Path) -> bytes:
    """Return the file of a released notebook. Raises AutograderError if it is not a notebook."""
    data = path.read_bytes()
    try:
        sources_of(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AutograderError(
            f"{path} is not a notebook ({type(error).__name__}), and students are graded against "
            "it: `make course` writes it again."
        ) from None
    return data


def require_importable(course: Path, assignment: str) -> None:
    """Raise AutograderError if a released notebook imports what this library does not have.

    Such a notebook was released with another version. Its cells would stop at the import, and right
    answers below them would lose their marks.
    """
    for path in released_notebooks(course, assignment).values():
        for cell in json.loads(read_released(path))["cells"]:
            source = "".join(cell["source"]) if cell["cell_type"] == "code" else ""
            if lost := next(_missing_modules(source), None):
                raise AutograderError(
                    f"{path} imports {lost}, which this version of mnistdiff does not have: it was "
                    "released with another version. Grade with that version, or run `make course` "
                    "to write the release again."
                )


def sources_of(notebook: bytes) -> list[str]:
    """Return the texts of a notebook's cells, without empty cells and trailing white space."""
    cells = json.loads(notebook)["cells"]
    texts = ["".join(cell["source"]).rstrip() for cell in cells]
    return [text for text in texts if text]


def _missing_modules(source: str) -> Iterator[str]:
    """Yield the modules of the library that a cell imports and that do not exist."""
    public = (PACKAGES / "mnistdiff" / "__init__.py").read_text(encoding="utf-8")
    for module, names in IMPORTS.findall(source):
        if not _is_module(module):
            yield module
        elif module == "mnistdiff":
            for name in (item.split()[0] for item in names.split(",") if item.strip()):
                if not _is_module(f"mnistdiff.{name}") and not re.search(rf"\b{name}\b", public):
                    yield f"mnistdiff.{name}"


def _is_module(name: str) -> bool:
    path = PACKAGES / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
