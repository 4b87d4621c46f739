"""Grade one notebook: run its cells in a sandbox, and judge each graded cell from outside it.

The checks, and the true answers in them, stay in this process. If a cell ends the student's
process or makes it hang, the other cells run again in a fresh sandbox without it. A cell that
ends the process is tried twice, because a machine that is short of memory also kills processes.
"""

import contextlib
import dataclasses
import hashlib
import importlib.util
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from nbformat import NotebookNode

from autograder import report
from autograder.checks import base, find
from autograder.gradebook.records import CellResult, CheckResult, Note, Verdict
from autograder.grading.cell_selection import cells_to_run
from autograder.grading.outputs import MAX_NOTEBOOK, Outputs, error_output, text_output
from autograder.grading.remote_student import CHECK_SECONDS, GRACE, RemoteStudent
from autograder.inside.student import WrongAnswer
from autograder.sandbox.process import START_SECONDS, ForkServer, Sandbox
from autograder.sandbox.watch import OverLimit, SandboxDied
from autograder.submissions.cells import is_answer, is_test, role_of
from autograder.submissions.rebuild import Rebuilt, rebuild
from autograder.text import one_line
from mnistdiff.course import dependencies

CELL_SECONDS = 20.0
OTHER_SECONDS = 120.0  # of all cells that are not answers, together
ANSWER_SECONDS = 120.0  # of all answers and their checks
TRIES = 2  # of a cell that ends the sandbox
MAX_RESTARTS = 16


@dataclasses.dataclass(frozen=True)
class Graded:
    """The verdict on one notebook, as plain JSON, and the executed notebook."""

    verdict: Verdict
    notebook: NotebookNode


def seed_of(assignment: str, student: str, grade_id: str) -> int:
    """Return the seed of one student's inputs for one cell: the same on every machine."""
    digest = hashlib.sha256(f"{assignment}\0{student}\0{grade_id}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def grade_notebook(
    released: NotebookNode,
    submitted: NotebookNode,
    who: tuple[str, str],
    fork_server: ForkServer,
    helpers: Mapping[str, bytes] | None = None,
) -> Graded:
    """Grade the notebook submitted by `who`, (assignment, student).

    `helpers` holds the Python files that lay beside it, by their paths.
    """
    started = time.perf_counter()
    rebuilt = rebuild(released, submitted)
    run = Run(rebuilt, who, fork_server, helpers or {})
    run.grade_all()
    verdict: Verdict = {
        "cells": [_result(c, rebuilt, run) for c in rebuilt.notebook.cells if _is_graded(c)],
        "blank": sorted(rebuilt.blank),
        "notes": [Note(kind=note["kind"], text=note["text"]) for note in rebuilt.notes],
        "seconds": {**run.budget.spent, "total": time.perf_counter() - started},
        "restarts": run.ends.total(),
    }
    return Graded(verdict, rebuilt.notebook)


def _is_graded(cell: NotebookNode) -> bool:
    return bool(role_of(cell).get("grade"))


def _result(cell: NotebookNode, rebuilt: Rebuilt, run: "Run") -> CellResult:
    """Return the result of a cell that is worth points; a person marks the written answers."""
    name = role_of(cell)["grade_id"]
    if is_test(cell):
        return run.results[name]
    if name in rebuilt.blank:
        return _cell_result(cell, 0.0, "blank")
    return _cell_result(cell, None, "by hand")


def _cell_result(
    cell: NotebookNode,
    points: float | None,
    state: str,
    lines: Sequence[str] = (),
    checks: Sequence[CheckResult] = (),
) -> CellResult:
    role = role_of(cell)
    return {
        "grade_id": role["grade_id"],
        "max": float(role["points"]),
        "points": points,
        "state": state,
        "checks": list(checks),
        "lines": list(lines),
    }


Account = Literal["answers", "others"]


class Budget:
    """The seconds left for a notebook's answers and for its other cells, and those spent."""

    def __init__(self) -> None:
        self.left: dict[Account, float] = {"answers": ANSWER_SECONDS, "others": OTHER_SECONDS}
        self.spent = {"cells": 0.0, "checks": 0.0, "sandbox": 0.0}

    def for_cell(self, cell: NotebookNode) -> float:
        """Return how long a cell may run; 0 or less if no time is left."""
        if is_answer(cell):
            return min(CELL_SECONDS, self.left["answers"])
        # Half of what is left: a helper function below slow cells of the student's own still runs.
        return min(CELL_SECONDS, self.left["others"] / 2)

    @contextlib.contextmanager
    def clock(self, part: str, account: Account | None = None) -> Iterator[None]:
        """Count the time that a block takes, and charge it to an account."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self.spent[part] += seconds
            if account:
                self.left[account] -= seconds


class Run:
    """The run of one notebook in a sandbox, and in fresh ones after a cell has ended it."""

    def __init__(
        self,
        rebuilt: Rebuilt,
        who: tuple[str, str],
        fork_server: ForkServer,
        helpers: Mapping[str, bytes],
    ) -> None:
        self.helpers = {name: data.decode("latin-1") for name, data in helpers.items()}
        self.cells = rebuilt.notebook.cells
        self.who = who
        self.fork_server = fork_server
        self.places = sorted(cells_to_run(self.cells, rebuilt.own))
        self.ends: Counter[int] = Counter()  # how often each cell ended a sandbox
        self.excluded: set[int] = set()  # cells that are not run again
        self.interrupted: list[NotebookNode] = []  # cells that had too little time or memory
        self.missing: list[tuple[NotebookNode, str]] = []  # cells that lack a package, its name
        self.results: dict[str, CellResult] = {}
        self.budget = Budget()
        self.outputs = Outputs(MAX_NOTEBOOK)

    def grade_all(self) -> None:
        """Run and judge all cells, starting again each time a cell ends the sandbox."""
        while self.ends.total() <= MAX_RESTARTS and not self._grade_in_one_sandbox():
            pass
        for cell in filter(is_test, self.cells):
            if role_of(cell)["grade_id"] not in self.results:
                self._record_not_reached(cell)

    def _grade_in_one_sandbox(self) -> bool:
        """Run the cells in order; return True if all were run or the time is over."""
        with self.budget.clock("sandbox"):
            sandbox = self.fork_server.spawn()
        with sandbox:
            if self.helpers:
                sandbox.ask(START_SECONDS, op="files", texts=self.helpers)
            for place in self.places:
                if self.budget.left["answers"] <= 0:
                    return True
                try:
                    if is_test(self.cells[place]):
                        self._judge(self.cells[place], sandbox)
                    elif place not in self.excluded:
                        self._run(self.cells[place], sandbox)
                except SandboxDied as died:
                    self._count_end(place, died)
                    return False
        return True

    def _count_end(self, place: int, died: SandboxDied) -> None:
        """Note that a cell ended the sandbox, and exclude it if another try is useless."""
        self.ends[place] += 1
        if isinstance(died, OverLimit) or self.ends[place] == TRIES:
            self._exclude_cell(place, str(died))
        if isinstance(died, OverLimit) and not is_test(self.cells[place]):
            self.interrupted.append(self.cells[place])

    def _exclude_cell(self, place: int, reason: str) -> None:
        """Don't run this cell again: it ends the process that runs it."""
        self.excluded.add(place)
        if is_test(self.cells[place]):
            self._record_process_ended(self.cells[place], reason)
        else:
            self.outputs.replace(self.cells[place], [error_output(reason)])

    def _run(self, cell: NotebookNode, sandbox: Sandbox) -> None:
        """Run a cell in the sandbox and keep its outputs."""
        if (limit := self.budget.for_cell(cell)) <= 0:
            self.interrupted.append(cell)
            return
        started = time.perf_counter()
        with self.budget.clock("cells", "answers" if is_answer(cell) else "others"):
            answer = sandbox.ask(limit + GRACE, op="cell", source=cell.source, limit=limit)
        if time.perf_counter() - started >= limit:
            self.interrupted.append(cell)
        value = answer.get("value")
        if isinstance(value, dict) and isinstance(value.get("outputs"), list):
            self.outputs.replace(cell, value["outputs"])
        sources = [cell.source, *self.helpers.values()]
        if isinstance(value, dict) and (lost := _missing_package(str(value.get("error")), sources)):
            self.missing.append((cell, lost))

    def _judge(self, cell: NotebookNode, sandbox: Sandbox) -> None:
        """Judge an answer with its check, unless it has a result already."""
        name = role_of(cell)["grade_id"]
        if name in self.results:
            return
        answer = name.removeprefix("test_")
        student = RemoteStudent(sandbox, CHECK_SECONDS)
        try:
            with self.budget.clock("checks", "answers"):
                verdicts = find(answer)().run(student, seed_of(*self.who, answer))
            verdicts = _scaled(verdicts, role_of(cell)["points"] / find(answer).points)
        except WrongAnswer as wrong:  # outside any behaviour: the student's code broke the agent
            line = one_line(f"{answer}: {wrong}")
            self._store_result(cell, _cell_result(cell, 0.0, "ended", [line]))
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            # The check itself failed on what it was given: a person looks before it costs points.
            line = f"{answer}: its result could not be judged ({type(error).__name__})"
            self._store_result(cell, _cell_result(cell, None, "by hand", [line]))
        else:
            self._store_result(cell, self._result_of(cell, answer, verdicts))

    def _result_of(
        self, cell: NotebookNode, answer: str, verdicts: list[base.Verdict]
    ) -> CellResult:
        """Return the result of an answer whose check has come to its end."""
        if not all(verdict.passed for verdict in verdicts):
            needed = self._needed_cells(cell, answer)
            if any(one is other for one in needed for other in self.interrupted):
                line = f"{answer}: not judged: the cells that it needs took more time than was left"
                return _cell_result(cell, None, "not reached", [line])
            packages = [package for one in needed for own, package in self.missing if own is one]
            sources = [*(one.source for one in needed), *self.helpers.values()]
            packages += filter(None, (_missing_package(v.hint, sources) for v in verdicts))
            if packages:
                line = f"{answer}: it needs `{packages[0]}`, which is not installed here: "
                return _cell_result(cell, None, "by hand", [line + "a person decides"])
        points, checks = float(base.earned(verdicts)), map(_check_result, verdicts)
        return _cell_result(cell, points, "judged", report(answer, verdicts), list(checks))

    def _needed_cells(self, test: NotebookNode, answer: str) -> list[NotebookNode]:
        """Return the cells that define the answer, and all that they depend on."""
        end = next(place for place, cell in enumerate(self.cells) if cell is test)
        code = {p: c for p, c in enumerate(self.cells[: end + 1]) if c.cell_type == "code"}
        defined = find(answer).answer or answer
        own = {
            place
            for place, cell in code.items()
            if role_of(cell).get("grade_id") == answer or defined in _names_bound_by(cell)
        }
        read = dependencies.needed({place: cell.source for place, cell in code.items()}, own)
        return [code[place] for place in read]

    def _record_process_ended(self, cell: NotebookNode, reason: str) -> None:
        """Give no points to an answer that ended the sandbox while it was checked."""
        name = role_of(cell)["grade_id"].removeprefix("test_")
        line = f"{name}: its code ended the notebook's process while it was checked: {reason}"
        self._store_result(cell, _cell_result(cell, 0.0, "ended", [line]))

    def _record_not_reached(self, cell: NotebookNode) -> None:
        """Leave an answer to a person that the run did not get to."""
        name = role_of(cell)["grade_id"].removeprefix("test_")
        line = f"{name}: not reached: the notebook's process ended too often or took too long"
        self._store_result(cell, _cell_result(cell, None, "not reached", [line]))

    def _store_result(self, cell: NotebookNode, result: CellResult) -> None:
        """Store a result, and show it in the test cell."""
        self.results[result["grade_id"]] = result
        points = "-" if result["points"] is None else f"{result['points']:g}"
        lines = [*result["lines"], f"{points} of {role_of(cell)['points']:g} points"]
        cell.outputs = [text_output("\n".join(lines))]


def _scaled(verdicts: list[base.Verdict], factor: float) -> list[base.Verdict]:
    """Return verdicts worth the points that the released notebook gives to their cell."""
    return [dataclasses.replace(v, points=v.points * factor) for v in verdicts]


def _missing_package(error: str, sources: Iterable[str]) -> str | None:
    """Return the package that an error says is missing, if it is missing and a source imports it.

    The error's text may be the student's own.
    """
    if not (found := re.search(r"ModuleNotFoundError.*?: No module named '(\w+)", error)):
        return None
    package = found[1]
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        return None
    imported = re.compile(rf"^[ \t]*(?:from|import)[ \t].*\b{package}\b", re.M)
    return package if any(map(imported.search, sources)) else None


def _names_bound_by(cell: NotebookNode) -> set[str]:
    names = dependencies.names_of(cell.source)
    return names.binds if names else set()


def _check_result(verdict: base.Verdict) -> CheckResult:
    return {
        "property": verdict.property,
        "points": verdict.points,
        "passed": verdict.passed,
        "hint": one_line(verdict.hint[:1000]),
        "seconds": round(verdict.seconds, 4),
    }
