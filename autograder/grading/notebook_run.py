"""Grade one notebook: run its cells in a sandbox, judge each graded cell from outside of it.

The checks, and the true answers in them, stay in this process. A cell that ends or hangs the
student's process costs that cell: the others run again in a fresh sandbox, without it. What ends
by itself is tried twice, for a machine that is short of memory kills processes, too.
"""

import contextlib
import dataclasses
import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder import report
from autograder.checks import find
from autograder.checks.base import Verdict
from autograder.grading.cell_selection import needed
from autograder.grading.outputs import MAX_NOTEBOOK, rebuilt_output, size_of
from autograder.grading.remote_student import CHECK_SECONDS, GRACE, Remote
from autograder.inside.student import WrongAnswer
from autograder.sandbox.process import ForkServer, OverLimit, Sandbox, SandboxDied
from autograder.submissions.cells import is_answer, is_test, role_of
from autograder.submissions.rebuild import Rebuilt, rebuild
from mnistdiff.course import dependencies as names

CELL_SECONDS = 20.0
OTHER_SECONDS = 120.0  # of all cells that are no answers, together
ANSWER_SECONDS = 120.0  # of all answers and their checks
TRIES = 2  # of a cell that ends the sandbox
MAX_RESTARTS = 16


@dataclasses.dataclass(frozen=True)
class Graded:
    """The verdict of one notebook, as plain JSON, and the executed notebook."""

    verdict: dict[str, Any]
    notebook: NotebookNode


def seed_of(assignment: str, student: str, grade_id: str) -> int:
    """Inputs of one cell of one student: the same on every machine and in every run."""
    digest = hashlib.sha256(f"{assignment}\0{student}\0{grade_id}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def grade_notebook(
    released: NotebookNode, submitted: NotebookNode, who: tuple[str, str], fork_server: ForkServer
) -> Graded:
    """Grade a submitted notebook of `who`, (assignment, student)."""
    started = time.perf_counter()
    rebuilt = rebuild(released, submitted)
    run = Run(rebuilt, who, fork_server)
    run.all()
    cells = [_record(cell, rebuilt, run) for cell in rebuilt.notebook.cells if _graded(cell)]
    verdict = {
        "cells": cells,
        "blank": sorted(rebuilt.blank),
        "notes": rebuilt.notes,
        "seconds": {**run.seconds, "total": time.perf_counter() - started},
        "restarts": run.ends.total(),
    }
    return Graded(verdict, rebuilt.notebook)


def _graded(cell: NotebookNode) -> bool:
    return bool(role_of(cell).get("grade"))


def _record(cell: NotebookNode, rebuilt: Rebuilt, run: "Run") -> dict[str, Any]:
    """What is known about one cell that is worth points; `points` None: a person decides."""
    role = role_of(cell)
    name, worth = role["grade_id"], float(role["points"])
    record = {"grade_id": name, "max": worth, "checks": [], "lines": []}
    if is_test(cell):
        return record | run.judged[name]
    blank = name in rebuilt.blank
    return record | {"points": 0.0 if blank else None, "state": "blank" if blank else "by hand"}


class Run:
    """One notebook's way through one sandbox, or several where its code ends them."""

    def __init__(self, rebuilt: Rebuilt, who: tuple[str, str], fork_server: ForkServer) -> None:
        self.cells = rebuilt.notebook.cells
        self.who = who
        self.fork_server = fork_server
        self.places = sorted(needed(self.cells, rebuilt.own))
        self.ends: Counter[int] = Counter()  # how often each cell ended a sandbox
        self.deadly: set[int] = set()  # cells that are not run again
        self.judged: dict[str, dict[str, Any]] = {}
        self.seconds = {"cells": 0.0, "checks": 0.0, "sandbox": 0.0}
        self.left = {"answers": ANSWER_SECONDS, "others": OTHER_SECONDS}
        self.room = MAX_NOTEBOOK
        self.cut: list[NotebookNode] = []  # cells that had too little time, or memory

    def all(self) -> None:
        """Run and judge everything, starting over where a cell ended the sandbox."""
        while self.ends.total() <= MAX_RESTARTS and not self._once():
            pass
        for cell in filter(is_test, self.cells):
            if role_of(cell)["grade_id"] not in self.judged:
                self._give_up(cell)

    def _once(self) -> bool:
        """One sandbox; whether all cells have been run and judged, or the time is over."""
        before = time.perf_counter()
        sandbox = self.fork_server.spawn()
        self.seconds["sandbox"] += time.perf_counter() - before
        with sandbox:
            for place in self.places:
                cell = self.cells[place]
                if self.left["answers"] <= 0:
                    return True
                try:
                    if is_test(cell):
                        self._judge(cell, sandbox)
                    elif place not in self.deadly:
                        self._run(cell, sandbox)
                except SandboxDied as died:
                    self.ends[place] += 1
                    if isinstance(died, OverLimit) or self.ends[place] == TRIES:
                        self._end(place, str(died))
                    if isinstance(died, OverLimit) and not is_test(cell):
                        self.cut.append(cell)
                    return False
        return True

    def _end(self, place: int, reason: str) -> None:
        """A cell is given up, for it ends the process that runs it."""
        self.deadly.add(place)
        if is_test(self.cells[place]):
            self._lost(self.cells[place], reason)
        else:
            self._show(self.cells[place], [_ended(reason)])

    def _run(self, cell: NotebookNode, sandbox: Sandbox) -> None:
        """Run a cell in the sandbox and keep what it showed."""
        budget = "answers" if is_answer(cell) else "others"
        # Half of what is left: a helper below slow cells of the student's own still runs.
        most = self.left[budget] if is_answer(cell) else self.left[budget] / 2
        if (limit := min(CELL_SECONDS, most)) <= 0:
            self.cut.append(cell)
            return
        started = time.perf_counter()
        with self._clock("cells", budget):
            answer = sandbox.ask(limit + GRACE, op="cell", source=cell.source, limit=limit)
        if time.perf_counter() - started >= limit:
            self.cut.append(cell)
        found = answer.get("value")
        if isinstance(found, dict) and isinstance(found.get("outputs"), list):
            self._show(cell, found["outputs"])

    def _show(self, cell: NotebookNode, outputs: list) -> None:
        """Keep outputs that are well-formed, as long as there is room."""
        self.room += sum(map(size_of, cell.outputs))  # of a run before a restart
        kept = []
        for raw in outputs[:60]:
            try:
                output = rebuilt_output(raw)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue
            if size_of(output) <= self.room:
                self.room -= size_of(output)
                kept.append(output)
        cell.outputs = kept

    def _judge(self, cell: NotebookNode, sandbox: Sandbox) -> None:
        """Decide on a graded cell, once."""
        name = role_of(cell)["grade_id"]
        if name in self.judged:
            return
        answer = name.removeprefix("test_")
        remote = Remote(sandbox, CHECK_SECONDS)
        try:
            with self._clock("checks", "answers"):
                verdicts = find(answer)().run(remote, seed_of(*self.who, answer))
        except WrongAnswer as wrong:  # outside of any behaviour: the agent itself was spoilt
            line = f"{answer}: {wrong}"
            self._keep(cell, {"points": 0.0, "state": "ended", "lines": [line]})
            return
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            # The check itself failed on what it was given: no one's zero before a person looks.
            line = f"{answer}: its result could not be judged ({type(error).__name__})"
            self._keep(cell, {"points": None, "state": "by hand", "lines": [line]})
            return
        rows = [_row(verdict) for verdict in verdicts]
        lines = report(answer, verdicts)
        points = float(sum(v.points for v in verdicts if v.passed))
        if not all(v.passed for v in verdicts) and self._hangs_on_cut(cell, answer):
            line = f"{answer}: not judged, for cells that it needs took more time than there was"
            self._keep(cell, {"points": None, "state": "not reached", "lines": [line]})
            return
        self._keep(cell, {"points": points, "state": "judged", "checks": rows, "lines": lines})

    def _hangs_on_cut(self, test: NotebookNode, answer: str) -> bool:
        """Whether the answer may take a name from a cell that was not run to its end."""
        code = {p: c for p, c in enumerate(self.cells) if c.cell_type == "code"}
        code = {p: c for p, c in code.items() if p <= next(p for p in code if code[p] is test)}
        given = find(answer).answer or answer
        itself = {
            place
            for place, cell in code.items()
            if role_of(cell).get("grade_id") == answer or given in _bound(cell)
        }
        read = names.needed({place: cell.source for place, cell in code.items()}, itself)
        return any(code[place] is cell for place in read for cell in self.cut)

    @contextlib.contextmanager
    def _clock(self, part: str, budget: str) -> Iterator[None]:
        """What a block takes is counted, and taken from what there is for its kind."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[part] += spent
            self.left[budget] -= spent

    def _lost(self, cell: NotebookNode, reason: str) -> None:
        """The student's code ended the sandbox while this cell was checked."""
        name = role_of(cell)["grade_id"].removeprefix("test_")
        line = f"{name}: its code ended the notebook's process while it was checked: {reason}"
        self._keep(cell, {"points": 0.0, "state": "ended", "lines": [line]})

    def _give_up(self, cell: NotebookNode) -> None:
        name = role_of(cell)["grade_id"].removeprefix("test_")
        line = f"{name}: not reached, the notebook ended too often or took too long"
        self._keep(cell, {"points": None, "state": "not reached", "lines": [line]})

    def _keep(self, cell: NotebookNode, found: dict[str, Any]) -> None:
        role = role_of(cell)
        self.judged[role["grade_id"]] = found
        points = "-" if found["points"] is None else f"{found['points']:g}"
        said = "\n".join([*found["lines"], f"{points} of {role['points']:g} points"])
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=f"{said}\n")]


def _bound(cell: NotebookNode) -> set[str]:
    found = names.names_of(cell.source)
    return found.binds if found else set()


def _row(verdict: Verdict) -> dict[str, Any]:
    row = dataclasses.asdict(verdict)
    return row | {"hint": verdict.hint[:1000], "seconds": round(verdict.seconds, 4)}


def _ended(reason: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": "Ended", "evalue": reason, "traceback": [reason]}
