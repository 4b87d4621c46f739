"""The answers of a class, as the students wrote them."""

from collections.abc import Iterable
from typing import NamedTuple

import nbformat

from autograder.gradebook.records import Record
from autograder.submissions.cells import is_answer, role_of
from autograder.submissions.job import Job
from autograder.submissions.reading import UnreadableNotebook, read_notebook
from autograder.submissions.rebuild import rebuild


class Answers(NamedTuple):
    """The text of the answer cells, by grade_id."""

    by_student: dict[str, dict[str, str]]  # without blank answers
    released: dict[str, str]  # what all students were given


def collect(current: Iterable[tuple[Job, Record | None]]) -> Answers:
    """Return the answers in all graded notebooks."""
    answers = Answers({}, {})
    for job, record in current:
        if record is None or record["state"] != "graded":
            continue
        try:
            released = nbformat.read(job.released, as_version=4)
            answers.released.update(_texts(released))
            written = _texts(rebuild(released, read_notebook(job.spooled)).notebook)
        except UnreadableNotebook:
            continue
        blank = record["verdict"]["blank"]
        kept = {name: text for name, text in written.items() if name not in blank}
        if kept:
            answers.by_student.setdefault(job.student, {}).update(kept)
    return answers


def _texts(notebook: nbformat.NotebookNode) -> dict[str, str]:
    return {role_of(cell)["grade_id"]: cell.source for cell in filter(is_answer, notebook.cells)}
