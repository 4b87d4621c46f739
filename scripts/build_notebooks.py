"""Build notebooks/ and the nbgrader course in course/ from solutions/.

`--check` writes nothing, and fails if a committed notebook differs from a new build.
"""

import argparse
import difflib
import logging
import shutil
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
import notebook_guard as guard
from nbformat import NotebookNode

ASSIGNMENT = "project3"
CONFIG = Path(__file__).with_name("nbgrader_config.py")
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


class BuildError(Exception):
    """The reasons why nothing was built."""


def read_source(path: Path) -> NotebookNode:
    """Read a notebook with answers; set stable ids, drop tool metadata, name its source."""
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("lines_to_next_cell", None)
        if "hide-input" in cell.metadata.get("tags", []):  # folded in JupyterLab as on the page
            cell.metadata["jupyter"] = {"source_hidden": True}
        cell.id = guard.grading(cell).get("grade_id") or f"cell-{number:03d}"
    note = f"<!-- Made from solutions/{path.name}: edit that file, then run `make notebooks`. -->"
    notebook.cells[0].source += f"\n\n{note}"
    return notebook


def read_sources(root: Path) -> dict[str, NotebookNode]:
    """Return all notebooks with answers by file name."""
    paths = sorted((root / "solutions").glob("[0-9][0-9]_*.py"))
    if not paths:
        raise BuildError(f"{root} has no file solutions/NN_name.py.")
    return {path.stem: read_source(path) for path in paths}


def check_sources(sources: dict[str, NotebookNode], readme: str) -> None:
    """Raise BuildError with one sentence per mistake in solutions/."""
    named = {f"solutions/{name}.py": notebook for name, notebook in sources.items()}
    try:
        table = guard.read_points(readme)
    except ValueError as error:
        raise BuildError(str(error)) from None
    problems = guard.check_table(readme) + guard.check_ids(named)
    for name, notebook in named.items():
        problems += guard.check_markers(name, notebook)
        problems += guard.check_cells(name, notebook)
        problems += guard.check_roles(name, notebook)
        problems += guard.check_points(name, notebook, table)
    if problems:
        raise BuildError("\n".join(problems))


def write_course(sources: dict[str, NotebookNode], course: Path) -> None:
    """Write nbgrader's settings and source/ into a new course."""
    source = course / "source" / ASSIGNMENT
    source.mkdir(parents=True)
    shutil.copyfile(CONFIG, course / CONFIG.name)
    for name, notebook in sources.items():
        nbformat.write(notebook, source / f"{name}.ipynb")


def release(course: Path) -> Path:
    """Do `nbgrader generate_assignment project3 --no-db` in this process; return the folder."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import PyFileConfigLoader
    from traitlets.log import get_logger

    get_logger().setLevel(logging.ERROR)
    config = PyFileConfigLoader(CONFIG.name, path=str(course)).load_config()
    config.CourseDirectory.assignment_id = ASSIGNMENT
    config.GenerateAssignment.no_database = True
    config.SaveCells.enabled = False
    coursedir = CourseDirectory(config=config)
    try:
        GenerateAssignment(coursedir=coursedir, config=config).start()
    except NbGraderException as error:
        raise BuildError(f"nbgrader rejects a notebook: {error}") from None
    return course / "release" / ASSIGNMENT


def check_release(sources: dict[str, NotebookNode], released: Path) -> None:
    """Raise BuildError if a student notebook still contains an answer or a hidden test."""
    problems = []
    for name, source in sources.items():
        published = nbformat.read(released / f"{name}.ipynb", as_version=4)
        hidden = guard.secrets(source)
        problems += guard.check_leaks(f"notebooks/{name}.ipynb", hidden, published)
    if problems:
        raise BuildError("\n".join(problems))


def install(built: Path, released: Path, root: Path) -> list[str]:
    """Copy new files into course/ and notebooks/; return the names of changed notebooks."""
    changed = []
    course, notebooks = root / "course", root / "notebooks"
    for path in sorted(p for p in built.rglob("*") if p.is_file()):
        copy_if_new(path, course / path.relative_to(built))
    for path in sorted(released.glob("*.ipynb")):
        if copy_if_new(path, notebooks / path.name):
            changed.append(path.stem)
    return changed


def copy_if_new(path: Path, target: Path) -> bool:
    """Copy a file unless the target has the same bytes; return whether it was copied."""
    if target.exists() and target.read_bytes() == path.read_bytes():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return True


def stale(released: Path, committed: Path) -> list[str]:
    """Return a message with a short diff for each committed notebook that a build would change."""
    names = {path.name for folder in (released, committed) for path in folder.glob("*.ipynb")}
    problems = []
    for name in sorted(names):
        new, old = ((folder / name) for folder in (released, committed))
        if not old.exists():
            problems.append(f"notebooks/{name} is missing.")
        elif not new.exists():
            problems.append(f"notebooks/{name} has no source in solutions/.")
        elif new.read_bytes() != old.read_bytes():
            problems.append(f"notebooks/{name} is stale:\n{summary(old, new)}")
    return problems


def summary(old: Path, new: Path, limit: int = 12) -> str:
    """Return the first changed lines between two notebooks."""
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (old, new))
    lines = [
        f"    {line[:100]}"
        for line in difflib.unified_diff(before, after, "committed", "built", n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    more = [f"    ... and {len(lines) - limit} more lines"] if len(lines) > limit else []
    return "\n".join(lines[:limit] + more)


def build(root: Path, check: bool = False) -> str:
    """Build everything under `root`, or only compare with `check`; return a summary."""
    sources = read_sources(root)
    readme = root / "README.md"
    check_sources(sources, readme.read_text(encoding="utf-8") if readme.exists() else "")
    with tempfile.TemporaryDirectory() as folder:
        write_course(sources, Path(folder))
        released = release(Path(folder))
        check_release(sources, released)
        if not check:
            changed = install(Path(folder), released, root)
            return f"{len(sources)} notebooks built, changed: {', '.join(changed) or 'none'}"
        if problems := stale(released, root / "notebooks"):
            raise BuildError("\n".join([*problems, "Run `make notebooks` and commit the result."]))
        return f"{len(sources)} notebooks match solutions/"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="only compare, and fail if a notebook is stale"
    )
    parser.add_argument("--root", type=Path, default=CONFIG.parents[1], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        print(build(arguments.root, arguments.check))
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
