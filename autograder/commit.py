"""The ledger's marks into nbgrader's own gradebook: one writer, one transaction per submission.

Marks that a person gave are never touched. What cannot be graded (no notebook at all, say) is left
without a mark and in need of a person, never a silent zero; a notebook that was not handed in is a
zero, as in stock nbgrader.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.rebuild import role_of

Records = dict[str, dict[str, Any]]  # of one submission, by notebook
Mark = tuple[float | None, bool]  # automatic score, whether a person must look


class Gradebook:
    """nbgrader's gradebook of a course, open for one assignment."""

    def __init__(self, course: Path, assignment: str) -> None:
        from nbgrader.api import Gradebook as Stock

        self.course, self.assignment = course, assignment
        self.config = _config(course)
        self.url = self.config.CourseDirectory.get(
            "db_url", f"sqlite:///{course.resolve() / 'gradebook.db'}"
        )
        self._lock = os.open(course / ".autograder" / "commit.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # one writer; the next one waits
        self._ensure_assignment(Stock)
        self.stock = Stock(self.url, self.config.CourseDirectory.get("course_id", "default_course"))
        self._penalties = _late_penalties(self.config)

    def _ensure_assignment(self, stock: Any) -> None:
        """Let nbgrader itself put the assignment's cells into its database, where they differ."""
        if self._cells_in_database(stock) == self._cells_released():
            return
        command = [sys.executable, "-m", "nbgrader", "generate_assignment", self.assignment]
        done = subprocess.run(
            [*command, "--force"], cwd=self.course, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise AutograderError(
                f"nbgrader cannot enter {self.assignment} into {self.url}:\n{done.stderr[-1500:]}"
            )

    def _cells_in_database(self, stock: Any) -> dict[str, dict[str, float]]:
        from nbgrader.api import MissingEntry

        with stock(self.url) as book:
            try:
                notebooks = book.find_assignment(self.assignment).notebooks
            except MissingEntry:
                return {}
            return {n.name: {c.name: c.max_score for c in n.grade_cells} for n in notebooks}

    def _cells_released(self) -> dict[str, dict[str, float]]:
        import nbformat

        from autograder.intake import released_notebooks

        found = {}
        for name, path in released_notebooks(self.course, self.assignment).items():
            roles = map(role_of, nbformat.read(path, as_version=4).cells)
            found[name] = {r["grade_id"]: float(r["points"]) for r in roles if r.get("grade")}
        return found

    def close(self) -> None:
        self.stock.close()
        os.close(self._lock)

    def __enter__(self) -> "Gradebook":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        """nbgrader's API commits after every step; here these become part of one commit."""
        session = self.stock.db()
        commit, session.commit = session.commit, session.flush
        try:
            with session.no_autoflush:
                yield self.stock
            commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            del session.commit

    def marks(self) -> dict[str, dict[tuple[str, str], float | None]]:
        """Automatic scores by student, then by notebook and cell."""
        from nbgrader import api

        rows = (
            self.stock.db.query(
                api.Student.id,
                api.Notebook.name,
                api.GradeCell.name,
                api.Grade.auto_score,
            )
            .select_from(api.Grade)
            .join(api.GradeCell, api.GradeCell.id == api.Grade.cell_id)
            .join(api.SubmittedNotebook, api.SubmittedNotebook.id == api.Grade.notebook_id)
            .join(api.Notebook, api.Notebook.id == api.SubmittedNotebook.notebook_id)
            .join(
                api.SubmittedAssignment,
                api.SubmittedAssignment.id == api.SubmittedNotebook.assignment_id,
            )
            .join(api.Assignment, api.Assignment.id == api.SubmittedAssignment.assignment_id)
            .join(api.Student, api.Student.id == api.SubmittedAssignment.student_id)
            .filter(api.Assignment.name == self.assignment)
        )
        found: dict[str, dict] = {}
        for student, notebook, cell, score in rows:
            found.setdefault(student, {})[notebook, cell] = score
        self.stock.db.remove()
        return found

    def by_hand(self) -> dict[tuple[str, str], float]:
        """The marks that people gave, by student and cell."""
        from nbgrader.api import MissingEntry

        try:
            submissions = self.stock.find_assignment(self.assignment).submissions
        except MissingEntry:
            return {}
        return {
            (submission.student_id, grade.name): grade.manual_score
            for submission in submissions
            for notebook in submission.notebooks
            for grade in notebook.grades
            if grade.manual_score is not None
        }

    def penalties(self) -> dict[str, float]:
        """What lateness costs each student, all notebooks together."""
        from nbgrader.api import MissingEntry

        try:
            submissions = self.stock.find_assignment(self.assignment).submissions
        except MissingEntry:
            return {}
        return {
            submission.student_id: sum(n.late_submission_penalty or 0 for n in submission.notebooks)
            for submission in submissions
        }

    def commit(self, student: str, records: Records) -> None:
        """Enter one submission's marks, its time, its penalties, and its executed notebooks."""
        self._copy_notebooks(student, records)
        received = next((r["received"] for r in records.values() if r["received"]), None)
        with self._transaction() as book:
            book.update_or_create_student(student)
            given = {} if received is None else {"timestamp": received}
            submission = book.update_or_create_submission(self.assignment, student, **given)
            for notebook in submission.notebooks:
                record = records[notebook.name]
                blank = set(record.get("verdict", {}).get("blank", []))
                for grade in notebook.grades:
                    score, look = mark(record, grade.name)
                    changed = grade.auto_score != score
                    grade.auto_score = score
                    seen = grade.manual_score is not None
                    grade.needs_manual_grade = (look and not seen) or (seen and changed)
                for comment in notebook.comments:
                    comment.auto_comment = "No response." if comment.name in blank else None
                self._penalise(submission, notebook)

    def _penalise(self, submission: Any, notebook: Any) -> None:
        """What the course's late-submission plugin of nbgrader says."""
        late, plugin = submission.total_seconds_late, self._penalties.plugin_inst
        notebook.late_submission_penalty = None
        if late > 0:
            self.stock.db.flush()
            self.stock.db.refresh(notebook, ["score"])  # the database sums it up
            penalty = plugin.late_submission_penalty(submission.student_id, notebook.score, late)
            if penalty is not None:
                penalty = self._penalties._check_late_penalty(notebook, penalty)
            notebook.late_submission_penalty = penalty

    def _copy_notebooks(self, student: str, records: Records) -> None:
        folder = self.course / "autograded" / student / self.assignment
        folder.mkdir(parents=True, exist_ok=True)
        for name, record in records.items():
            path = folder / f"{name}.ipynb"
            executed = self.course / ".autograder" / "notebooks" / f"{record['key']}.ipynb"
            if record["state"] == "graded" and executed.exists():
                new = path.with_suffix(".new")
                shutil.copyfile(executed, new)
                new.replace(path)
            elif record["state"] != "graded":
                path.unlink(missing_ok=True)  # of an earlier submission


def mark(record: dict[str, Any], cell: str) -> Mark:
    """A cell's automatic score, and whether a person must look."""
    if record["state"] == "missing":
        return 0.0, False
    if record["state"] != "graded":
        return None, True
    found = {c["grade_id"]: c["points"] for c in record["verdict"]["cells"]}
    return found.get(cell), found.get(cell) is None


def differs(student: str, records: Records, marks: dict[str, dict]) -> bool:
    """Whether the gradebook says something else than the ledger about a submission."""
    stored = marks.get(student)
    if not stored:
        return True
    return any(
        mark(records[notebook], cell)[0] != score
        for (notebook, cell), score in stored.items()
        if notebook in records
    )


def submissions(current: Iterable[tuple[Any, dict[str, Any] | None]]) -> dict[str, Records]:
    """Records of the submissions of which every notebook is decided, by student and notebook."""
    found: dict[str, Records] = {}
    open_: set[str] = set()
    for job, record in current:
        if record is None or record["state"] == "failed":
            open_.add(job.student)
        else:
            # The receipt time may have been learnt after the grading.
            found.setdefault(job.student, {})[job.notebook] = record | {"received": job.received}
    return {student: records for student, records in found.items() if student not in open_}


def _config(course: Path) -> Any:
    from traitlets.config import Config, PyFileConfigLoader

    path = course / "nbgrader_config.py"
    if not path.exists():
        return Config()
    return PyFileConfigLoader(path.name, path=str(course)).load_config()


def _late_penalties(config: Any) -> Any:
    from nbgrader.preprocessors import AssignLatePenalties

    penalties = AssignLatePenalties(config=config)
    penalties.init_plugin()
    return penalties
