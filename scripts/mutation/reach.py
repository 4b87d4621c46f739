"""Which tests run which line, and how long they take: one measured run of the suite.

One JSON per test file, so that a changed test file is measured again alone. Tests that fail on
the unchanged code say nothing about a mutant, and are left out.
"""

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

from mutation.processes import in_fork

# A real browser, the whole site, ComfyUI, stock nbgrader: minutes each, and no line is theirs alone
SLOW = ("test_site.py", "test_comfyui_server.py", "test_nbgrader.py", "test_book.py")
CHILDREN = """[run]
source = {tree}/mnistdiff, {tree}/autograder
disable_warnings = no-data-collected
parallel = true
data_file = {data}
context = ${{PYTEST_CURRENT_TEST-}}
sigterm = true
patch = _exit
"""
PHASE = re.compile(r" \((setup|call|teardown)\)$")  # what pytest adds in PYTEST_CURRENT_TEST
OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--durations=0", "--tb=line"]


@dataclass(frozen=True, eq=False)
class Test:
    """A test, what it takes, and the lines of each file that it runs."""

    name: str
    seconds: float
    lines: dict[str, frozenset[int]]


def test_files(root: Path) -> list[str]:
    files = (path for path in (root / "tests").rglob("test_*.py") if path.name not in SLOW)
    return sorted(str(path.relative_to(root)) for path in files)


def measure(tree: Path, file: str, folder: Path, seconds: float = 1800) -> str:
    """Measure one test file in a fork; return what came of it."""
    target = folder / (file.replace("/", ".") + ".json")
    began = time.monotonic()
    log = folder / (file.replace("/", ".") + ".log")
    status = in_fork(tree, lambda: _measure(tree, file, target), log, seconds)
    return f"{file}: status {status}, {time.monotonic() - began:.0f} s"


def load(folder: Path) -> list[Test]:
    """The measured tests that pass."""
    tests = []
    for path in sorted(folder.glob("*.json")):
        for name, found in json.loads(path.read_text()).items():
            if found["passed"]:
                lines = {file: frozenset(rows) for file, rows in found["lines"].items()}
                tests.append(Test(name, found["seconds"], lines))
    return tests


class _Recorder:
    """Switch coverage to the running test, and note its time and outcome."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.tests: dict[str, dict] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.measured.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report) -> None:
        test = self.tests.setdefault(report.nodeid, {"seconds": 0.0, "passed": True, "lines": {}})
        test["seconds"] += report.duration
        test["passed"] &= report.passed


def _measure(tree: Path, file: str, target: Path) -> int:
    data = tree / "_coverage" / "data"
    shutil.rmtree(data.parent, ignore_errors=True)
    data.parent.mkdir()
    rules = data.with_name("children.ini")
    rules.write_text(CHILDREN.format(data=data, tree=tree))
    os.environ["COVERAGE_PROCESS_START"] = str(rules)
    packages = [str(tree / "mnistdiff"), str(tree / "autograder")]
    measured = coverage.Coverage(data, source=packages, config_file=False, data_suffix=True)
    recorder = _Recorder(measured)
    measured.start()
    status = pytest.main([*OPTIONS[1:], str(tree / file)], plugins=[recorder])
    measured.stop()
    measured.save()
    _combine(data, tree, recorder.tests)
    target.write_text(json.dumps(recorder.tests))
    return int(status)


def _combine(data: Path, tree: Path, tests: dict[str, dict]) -> None:
    """Add to each test the lines that it ran, in this process and in those that it started."""
    for part in data.parent.glob("data.*"):
        found = coverage.CoverageData(part)
        try:
            found.read()
        except coverage.CoverageException:  # of a process that was killed while it wrote
            continue
        for path in found.measured_files():
            name = str(Path(path).relative_to(tree))
            for line, contexts in found.contexts_by_lineno(path).items():
                for context in contexts:
                    test = tests.get(PHASE.sub("", context))
                    if test is not None:
                        rows = test["lines"].setdefault(name, [])
                        if line not in rows[-3:]:
                            rows.append(line)
