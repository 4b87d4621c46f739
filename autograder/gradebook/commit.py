"""Enter the ledger's marks in nbgrader's gradebook: one writer, one transaction per submission.

Marks that a person gave are never changed. A file that could not be graded gets no mark, and a
person is asked to look at it; it is never a silent zero. A notebook that was not handed in gets
zero points, as in stock nbgrader.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from autograder import fast_imports  # noqa: F401  before nbgrader
from autograder.gradebook.assignment import enter_cells, readable_errors
from autograder.gradebook.differences import Entered, database, settings
from autograder.gradebook.records import Given, Record, Records, cells_of, with_receipt
from autograder.submissions.job import Job

Mark = tuple[float | None, bool]  # automatic score, whether a person must look


class Gradebook:
    """nbgrader's gradebook of a course, open for one assignment."""

    def __init__(self, course: Path, assignment: str) -> None:
        from nbgrader.api import Gradebook as Stock

        self.course, self.assignment = course, assignment
        self.config = settings(course)
        self.url = database(course, self.config)
        (course / ".autograder").mkdir(exist_ok=True)
        self._lock = os.open(course / ".autograder" / "commit.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # one writer at a time; the others wait
        with readable_errors(self.url):
            enter_cells(course, assignment, self.config, self.url)
            name = self.config.CourseDirectory.get("course_id", "default_course")
            self.stock = Stock(self.url, name)
        self._penalties = _late_penalties(self.config)

    def close(self) -> None:
        self.stock.close()
        os.close(self._lock)

    def __enter__(self) -> "Gradebook":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        """Make one commit of a block, although nbgrader's API commits after every step."""
        session = self.stock.db()
        commit, session.commit = session.commit, session.flush
        try:
            with readable_errors(self.url), session.no_autoflush:
                yield self.stock
                commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            del session.commit

    def given(self) -> Given:
        """Return the marks and extra credit that people gave, and the late penalties.

        A mark that a person must look at again, because the answer changed, is None.
        """
        found = self.stock.find_assignment(self.assignment).submissions
        grades = [(s.student_id, g) for s in found for n in s.notebooks for g in n.grades]
        return Given(
            by_hand={
                (student, grade.name): None if grade.needs_manual_grade else grade.manual_score
                for student, grade in grades
                if grade.manual_score is not None
            },
            bonus={
                (s, grade.name): grade.extra_credit for s, grade in grades if grade.extra_credit
            },
            penalties={
                s.student_id: sum(n.late_submission_penalty or 0 for n in s.notebooks)
                for s in found
            },
        )

    def commit(self, student: str, records: Records, keys: dict[str, str]) -> None:
        """Enter a submission's marks, receipt time and penalties, and copy its executed notebooks.

        `keys` names the jobs whose notebooks were copied last; see `Entered.keys`.
        """
        from nbgrader.utils import parse_utc

        received = next((r["received"] for r in records.values() if r["received"]), None)
        with self._transaction() as book:
            book.update_or_create_student(student)
            submission = book.update_or_create_submission(self.assignment, student)
            submission.timestamp = parse_utc(received) if received else None
            for notebook in submission.notebooks:
                if (record := records.get(notebook.name)) is None:  # it is worth no points
                    continue
                same_job = keys.get(notebook.name, record["key"]) == record["key"]
                rewritten = self._rewritten(student, notebook, record, same_job)
                self._enter(notebook, record, rewritten)
                self._penalise(submission, notebook)
        self._copy_notebooks(student, records, keys)
        path = self._folder(student) / "timestamp.txt"
        if received:  # nbgrader compares it with the feedback, to find outdated feedback
            path.write_text(f"{received}\n", encoding="utf-8")
        else:
            path.unlink(missing_ok=True)

    def _enter(self, notebook: Any, record: Record, rewritten: set[str]) -> None:
        """Enter the marks of a notebook.

        A person's mark stays; the person is asked to look again if the answer or its score changed.
        """
        for grade in notebook.grades:
            score, look = mark(record, grade.name)
            changed = grade.auto_score != score or grade.name in rewritten
            grade.auto_score = score
            if grade.manual_score is None:
                grade.needs_manual_grade = look
            elif changed:
                grade.needs_manual_grade = True
        blank = record["verdict"]["blank"] if record["state"] == "graded" else []
        for comment in notebook.comments:
            comment.auto_comment = "No response." if comment.name in blank else None

    def _rewritten(self, student: str, notebook: Any, record: Record, same_job: bool) -> set[str]:
        """Return the cells whose text differs, or may differ, from the text that a person marked.

        `same_job` says that this submission is the one that was entered last.
        """
        if all(grade.manual_score is None for grade in notebook.grades):
            return set()
        before = _sources(self._folder(student) / f"{notebook.name}.ipynb")
        if not before and not same_job:  # the marked text is lost or damaged
            return {grade.name for grade in notebook.grades}
        after = _sources(self._executed(record))
        return {name for name, text in before.items() if after.get(name) != text}

    def _penalise(self, submission: Any, notebook: Any) -> None:
        """Enter the penalty that the course's late-submission plugin sets."""
        due, plugin = submission.assignment.duedate, self._penalties.plugin_inst
        late = submission.total_seconds_late if due else 0  # an extension needs a due date
        notebook.late_submission_penalty = None
        if late > 0:
            self.stock.db.flush()
            self.stock.db.refresh(notebook, ["score"])  # the database computes the sum
            penalty = plugin.late_submission_penalty(submission.student_id, notebook.score, late)
            if penalty is not None:
                penalty = self._penalties._check_late_penalty(notebook, penalty)
            notebook.late_submission_penalty = penalty

    def _folder(self, student: str) -> Path:
        return self.course / "autograded" / student / self.assignment

    def _executed(self, record: Record) -> Path:
        return self.course / ".autograder" / "notebooks" / f"{record['key']}.ipynb"

    def _copy_notebooks(self, student: str, records: Records, keys: dict[str, str]) -> None:
        folder = self._folder(student)
        folder.mkdir(parents=True, exist_ok=True)
        for name, record in records.items():
            path = folder / f"{name}.ipynb"
            executed = self._executed(record)
            if record["state"] == "graded" and _sources(executed):
                new = path.with_suffix(".new")
                shutil.copyfile(executed, new)
                new.replace(path)
            elif record["state"] != "graded" or keys.get(name) != record["key"]:
                path.unlink(missing_ok=True)  # of an earlier submission
                page = self.course / "feedback" / student / self.assignment / f"{name}.html"
                page.unlink(missing_ok=True)


def _sources(path: Path) -> dict[str, str]:
    """Return the text of every named cell of an executed notebook; {} if it is lost or damaged."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        named = [(c["metadata"].get("nbgrader", {}).get("grade_id"), c["source"]) for c in cells]
        return {name: "".join(source) for name, source in named if name}
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def mark(record: Record, cell: str) -> Mark:
    """Return a cell's automatic score, and whether a person must look."""
    if record["state"] == "missing":
        return 0.0, False
    points = {result["grade_id"]: result["points"] for result in cells_of(record)}.get(cell)
    return points, points is None


def submissions(current: Iterable[tuple[Job, Record | None]]) -> dict[str, Records]:
    """Return the records of all complete submissions, by student and notebook.

    A submission is complete if each of its notebooks has a result other than a failure.
    """
    found: dict[str, Records] = {}
    incomplete: set[str] = set()
    for job, record in current:
        if record is None or record["state"] == "failed":
            incomplete.add(job.student)
        else:
            found.setdefault(job.student, {})[job.notebook] = with_receipt(record, job)
    return {student: records for student, records in found.items() if student not in incomplete}


def enter(course: Path, assignment: str, ready: dict[str, Records]) -> list[str]:
    """Enter the submissions that differ from the gradebook; return their students."""
    entered = Entered(course, assignment)
    students = entered.missing(ready)
    if not students:
        return []
    done: dict[str, Records] = {}
    with Gradebook(course, assignment) as book:
        for student in students:
            book.commit(student, ready[student], entered.keys(student))
            done[student] = ready[student]
    entered.remember(done)
    return students


def _late_penalties(config: Any) -> Any:
    from nbgrader.preprocessors import AssignLatePenalties

    penalties = AssignLatePenalties(config=config)
    penalties.init_plugin()
    return penalties
