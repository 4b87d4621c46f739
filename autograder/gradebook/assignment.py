"""The assignment in nbgrader's gradebook: its notebooks and cells, as students were given them."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.submissions.release import released_notebooks, roles_in


def enter_cells(course: Path, assignment: str, config: Any, url: str) -> None:
    """Let nbgrader enter the assignment's cells into its database, if they differ from the release.

    Raises AutograderError if nbgrader fails.
    """
    if _in_database(url, assignment) == _released(course, assignment):
        return
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory

    config = deepcopy(config)
    config.CourseDirectory.root = str(course.resolve())
    config.CourseDirectory.db_url = url
    config.CourseDirectory.assignment_id = assignment
    # What it releases is thrown away: the course's release must stay as students have it.
    with tempfile.TemporaryDirectory() as folder:
        config.CourseDirectory.release_directory = folder
        converter = GenerateAssignment(CourseDirectory(config=config), config=config)
        said = _Messages()
        converter.log.addHandler(said)
        try:
            converter.start()
        except NbGraderException as error:
            found = [text for text in said.errors if "Traceback" in text] or [str(error)]
            reason = found[0].strip().splitlines()[-1][:300].rstrip(".")
            raise AutograderError(
                f"nbgrader cannot enter the cells of {assignment} into {url}: {reason}. Fix that, "
                "then run the same command again; all results so far are kept."
            ) from None
        finally:
            converter.log.removeHandler(said)


class _Messages(logging.Handler):
    """Keeps the errors that nbgrader logs, because its exceptions only point to them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())


def _in_database(url: str, assignment: str) -> dict[str, Any]:
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(url) as book:
        try:
            notebooks = book.find_assignment(assignment).notebooks
        except MissingEntry:
            return {}
        found = {
            n.name: _cell_names(n.grade_cells, n.solution_cells, n.source_cells) for n in notebooks
        }
        return {name: cells for name, cells in found.items() if cells[0]}  # worth points


def _cell_names(graded: list, answers: list, sources: list) -> tuple[dict[str, float], set, set]:
    points = {cell.name: cell.max_score for cell in graded}
    return points, {cell.name for cell in answers}, {cell.name for cell in sources}


def _released(course: Path, assignment: str) -> dict[str, Any]:
    found = {}
    for name, path in released_notebooks(course, assignment).items():
        roles = roles_in(path)
        found[name] = (
            {r["grade_id"]: float(r["points"]) for r in roles if r["grade"]},
            {r["grade_id"] for r in roles if r["solution"]},
            {r["grade_id"] for r in roles if r["grade"] or r["solution"] or r["locked"]},
        )
    return found


@contextlib.contextmanager
def readable_errors(url: str) -> Iterator[None]:
    """Raise AutograderError with a readable message if the database cannot be written."""
    from nbgrader.api import InvalidEntry
    from sqlalchemy.exc import SQLAlchemyError

    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)  # nbgrader's tracebacks
    try:
        yield
    except (SQLAlchemyError, InvalidEntry) as error:
        message = getattr(error, "orig", None) or error
        raise AutograderError(
            f"the gradebook {url} cannot be written: {message}. Close other programs that use it. "
            "If it is damaged, restore a copy or move it away: `autograder grade` then enters all "
            "marks again, except those that people gave."
        ) from None
