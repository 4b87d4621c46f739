"""Find the submissions whose marks in the gradebook differ from the ledger.

The database is read without nbgrader, which takes seconds to import and is not needed if nothing
is to be entered. A submission counts as entered only after its marks are in the gradebook, so
that it is entered again after a crash.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.gradebook.records import Records

Row = tuple[Any, ...]
SETTINGS = ("nbgrader_config.py", "nbgrader_local.py")
SQL = """
SELECT sa.student_id, n.name, c.name, g.auto_score, g.manual_score, g.extra_credit,
       sa.timestamp, sa.extension, sn.late_submission_penalty, a.duedate
FROM assignment a
JOIN submitted_assignment sa ON sa.assignment_id = a.id
JOIN submitted_notebook sn ON sn.assignment_id = sa.id
JOIN notebook n ON n.id = sn.notebook_id
JOIN grade g ON g.notebook_id = sn.id
JOIN base_cell c ON c.id = g.cell_id
WHERE a.name = :assignment
ORDER BY sa.student_id, n.name, c.name
"""


def settings(course: Path) -> Any:
    """Return the course's nbgrader settings. Raises AutograderError if they cannot be read."""
    from traitlets.config.loader import Config, PyFileConfigLoader

    path = course / SETTINGS[0]
    if not path.exists():
        return Config()
    try:
        return PyFileConfigLoader(path.name, path=str(course)).load_config()
    except Exception as error:  # the files are Python code, and may raise anything
        raise AutograderError(
            f"{path}, or nbgrader_local.py beside it, cannot be read as nbgrader settings "
            f"({type(error).__name__}: {error}). Fix it, then run the same command again."
        ) from None


def database(course: Path, config: Any) -> str:
    """Return the URL of the course's gradebook."""
    return config.CourseDirectory.get("db_url", f"sqlite:///{course.resolve() / 'gradebook.db'}")


def rows(url: str, assignment: str) -> dict[str, list[Row]]:
    """Return the gradebook's rows by student; {} if there is no gradebook yet."""
    found: dict[str, list[Row]] = {}
    for student, *rest in _select(url, {"assignment": assignment}):
        found.setdefault(student, []).append(tuple(rest))
    return found


def _select(url: str, values: dict[str, str]) -> Iterable[Row]:
    path = url.removeprefix("sqlite:///")
    if path == url:
        import sqlalchemy

        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sqlalchemy.text(SQL), values)]
    if Path(path).exists():
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
                return connection.execute(SQL, values).fetchall()
        except sqlite3.DatabaseError:  # no tables yet; any other fault is reported by nbgrader
            return []
    return []


class Entered:
    """A memory of the records from which each submission of an assignment was entered."""

    def __init__(self, course: Path, assignment: str) -> None:
        self.course, self.assignment = course, assignment
        self.url = database(course, settings(course))
        paths = [course / name for name in SETTINGS]
        self._settings = "".join(path.read_text() for path in paths if path.exists())

    def _path(self, student: str) -> Path:
        name = hashlib.sha256(student.encode()).hexdigest()[:24]
        return self.course / ".autograder" / "entered" / self.assignment / f"{name}.json"

    def missing(self, ready: dict[str, Records]) -> list[str]:
        """Return the students whose marks in the gradebook differ from the ledger."""
        held = rows(self.url, self.assignment)
        return [s for s, r in ready.items() if not self._is_in(s, r, held.get(s, []))]

    def _is_in(self, student: str, records: Records, held: list[Row]) -> bool:
        if self._read(student).get("token") != self._token(records, held):
            return False
        folder = self.course / "autograded" / student / self.assignment
        graded = [name for name, record in records.items() if record["state"] == "graded"]
        return all((folder / f"{name}.ipynb").exists() for name in graded)

    def keys(self, student: str) -> dict[str, str]:
        """Return the keys of the jobs whose executed notebooks were last copied, by notebook."""
        return self._read(student).get("keys", {})

    def _read(self, student: str) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._path(student).read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def remember(self, entered: dict[str, Records]) -> None:
        """Note that these submissions are in the gradebook now."""
        held = rows(self.url, self.assignment)
        for student, records in entered.items():
            keys = {name: record["key"] for name, record in records.items()}
            note = {"token": self._token(records, held.get(student, [])), "keys": keys}
            path = self._path(student)
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(note), encoding="utf-8")
            new.replace(path)

    def _token(self, records: Records, held: list[Row]) -> str:
        """Return a hash of all that the marks and penalties of a submission depend on."""
        jobs = [(n, r["key"], r["time"], r["received"]) for n, r in sorted(records.items())]
        text = json.dumps([jobs, held, self._settings], default=str)
        return hashlib.sha256(text.encode()).hexdigest()
