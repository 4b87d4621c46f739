"""Run the visible tests of a notebook in a fresh kernel.

This takes seconds, since only the cells that the tests need are run. A notebook that passes can
be graded; the grader's hidden checks then test more.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple

from mnistdiff.course import dependencies
from mnistdiff.course.notebooks import GIVEN, Cell, exercises_of, problems, read_notebook
from mnistdiff.errors import MnistdiffError

SECONDS = 20.0  # for an answer or its tests, as in grading
GIVEN_SECONDS = 180.0  # for a given cell: the first import of torch on a slow disk
PASSES, BLANK, BY_HAND = "passes", "not written yet", "written; a person marks it"
CELL_FILE = re.compile(r"\((?:<ipython-input-[^<>]*>|<unknown>|\d+\.py), line \d+\)")  # IPython's name
RAISED = "fill in this cell"  # by a released answer cell
NOT_PYTHON = ("SyntaxError", "IndentationError", "TabError")
INSTALL = "To run notebooks, install Jupyter: `pip install jupyter` (or the course's `make setup`)."


class Outcome(NamedTuple):
    """How a cell ended: the name of its error ("" if there was none), and the error's message."""

    error: str = ""
    text: str = ""


def check(path: Path) -> dict[str, Any]:
    """Run the visible tests of a notebook; return {"exercises": {name: result}, "warnings", "ok", ...}.

    `ok` is true if every exercise is written and passes, and there are no warnings. Raises
    MnistdiffError if the file is not a notebook or no kernel starts.
    """
    started = time.perf_counter()
    cells = read_notebook(path)
    warnings = problems(path, cells)
    names = exercises_of(path) or tuple(cell.name for cell in cells if cell.is_answer)
    outcomes = run(cells, path.resolve().parent) if _has_tests(cells) else {}
    warnings += [
        f"the given cell that begins with {cells[place].source.strip().splitlines()[0][:60]!r} "
        f"stops with {outcome.error}: {outcome.text}"
        for place, outcome in outcomes.items()
        if outcome.error and not cells[place].name
    ]
    exercises = {name: _verdict(name, cells, outcomes) for name in names}
    return {
        "notebook": str(path),
        "exercises": exercises,
        "warnings": warnings,
        "ok": not warnings and all(text in (PASSES, BY_HAND) for text in exercises.values()),
        "seconds": time.perf_counter() - started,
    }


def _has_tests(cells: list[Cell]) -> bool:
    return any(cell.name.startswith("visible_") for cell in cells)


def _verdict(name: str, cells: list[Cell], outcomes: dict[int, Outcome]) -> str:
    """Return what to say about one exercise."""
    places = {cell.name: place for place, cell in reversed(list(enumerate(cells)))}
    if name not in places:
        return "its cell is missing"
    if cells[places[name]].is_as_released:
        return BLANK
    if name.startswith("explain"):
        return BY_HAND if cells[places[name]].source.strip() else BLANK
    answer = outcomes.get(places[name], Outcome())
    if answer.error:
        return f"its cell stops with {answer.error}: {answer.text}"
    if f"visible_{name}" not in places:
        return "its visible tests are missing"
    test = outcomes.get(places[f"visible_{name}"], Outcome("NotRun", "the tests were not run"))
    if not test.error:
        return PASSES
    if test.error == "NotImplementedError" and RAISED in test.text:  # torch raises it, too
        mine = "NotImplementedError" in cells[places[name]].source
        return BLANK if mine else "it needs another exercise that is not written yet"
    return test.text if test.error == "AssertionError" else f"{test.error}: {test.text}"


def places_to_run(cells: list[Cell]) -> list[int]:
    """Return the indices of answers, visible tests, the student's own cells, and what they need."""
    code = {
        place: cell.source
        for place, cell in enumerate(cells)
        if cell.kind == "code" and not (cell.role.get("grade") and not cell.is_answer)
    }
    has_ids = any(GIVEN.fullmatch(cell.id) for cell in cells)
    always = {
        place
        for place in code
        if cells[place].name
        or "parameters" in cells[place].tags
        or (has_ids and not GIVEN.fullmatch(cells[place].id))
    }
    return sorted(dependencies.needed(code, always))


def run(cells: list[Cell], folder: Path) -> dict[int, Outcome]:
    """Run the needed cells; after one that ends or hangs the kernel, run the others in a new one."""
    outcomes: dict[int, Outcome] = {}
    deadly: dict[int, Outcome] = {}
    while True:
        todo = [place for place in places_to_run(cells) if place not in deadly]
        for place, outcome in _run_once(cells, todo, folder):
            outcomes[place] = outcome
            if outcome.error in ("Ended", "Timeout"):
                deadly[place] = outcome
                break
        else:
            return outcomes | deadly


def _run_once(cells: list[Cell], todo: list[int], folder: Path) -> Iterator[tuple[int, Outcome]]:
    """Run cells in one kernel, up to the first that ends or hangs it; yield index and outcome."""
    with Kernel(folder) as kernel:
        for place in todo:
            cell = cells[place]
            source = 'profile = "smoke"' if "parameters" in cell.tags else cell.source
            outcome = kernel.run(source, SECONDS if cell.name else GIVEN_SECONDS)
            yield place, outcome
            if outcome.error in ("Ended", "Timeout"):
                return


class Kernel:
    """A Jupyter kernel of the running Python, in a folder; nothing in it trains."""

    def __init__(self, folder: Path) -> None:
        try:
            import ipykernel  # noqa: F401
            from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
            from jupyter_client.manager import KernelManager
        except ImportError as error:
            raise MnistdiffError(f"{error.name} is not installed. {INSTALL}") from error

        class ThisPython(KernelSpecManager):
            """Always gives a kernel of this Python, even if another one is named python3."""

            def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
                command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
                return KernelSpec(argv=command, display_name="Python", language="python")

        self.manager = KernelManager(kernel_spec_manager=ThisPython())
        # With nbgrader's variable set, the library uses the profile `smoke` and trains nothing.
        environment = os.environ | {"NBGRADER_EXECUTION": "validate"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.manager.start_kernel(cwd=str(folder), env=environment, **quiet)
        self.client = self.manager.blocking_client()
        self.client.start_channels()

    def __enter__(self) -> "Kernel":
        try:
            self.client.wait_for_ready(timeout=60)
        except RuntimeError as error:
            self.__exit__()
            raise MnistdiffError(f"The kernel does not start ({error}). {INSTALL}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    def run(self, source: str, seconds: float) -> Outcome:
        """Run one cell. Its error is "Ended" if the kernel ended, "Timeout" after `seconds`."""
        wanted, outcome = self.client.execute(source, allow_stdin=False), Outcome()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                message = self.client.get_iopub_msg(timeout=0.5)
            except Empty:
                if not self.manager.is_alive():
                    return Outcome("Ended", "it ended the kernel (exit, or too much memory)")
                continue
            if message["parent_header"].get("msg_id") != wanted:
                continue
            content = message["content"]
            if message["msg_type"] == "error":
                name, text = str(content["ename"]), str(content["evalue"])
                if name in NOT_PYTHON:
                    text = CELL_FILE.sub(f"({_line_of_error(source)})", text)
                outcome = Outcome(name, " ".join(text.split()))
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return outcome
        return Outcome("Timeout", f"it took longer than {seconds:g} s")


def _line_of_error(source: str) -> str:
    """Return the first line of a cell that is not Python, as its student counts lines."""
    try:
        compile(source, "cell", "exec", dont_inherit=True)
    except SyntaxError as error:
        if not source.lstrip().startswith("%"):
            return f"line {error.lineno} of the cell"
    return "in this cell"


def render(result: dict[str, Any]) -> str:
    """Return one line per exercise, then the warnings."""
    wide = max(map(len, result["exercises"]), default=0)
    lines = [f"{Path(result['notebook']).name}, {result['seconds']:.1f} s"]
    lines += [f"  {name:<{wide}}  {text}" for name, text in result["exercises"].items()]
    lines += [f"  ! {text}" for text in result["warnings"]]
    if result["ok"]:
        lines.append("All visible tests pass. The hidden checks use other numbers and shapes.")
    return "\n".join(lines)
