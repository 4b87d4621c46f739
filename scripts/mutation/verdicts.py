"""Whether the tests that run a mutant's line catch it, the nearest test file first."""

import dataclasses
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from mutation.operators import Mutant
from mutation.processes import in_fork
from mutation.reach import OPTIONS, Test

BUDGET = 30.0  # seconds of tests for a mutant
SANDBOXED = "autograder/inside/"  # runs where coverage does not see it
SANDBOX = "autograder/sandbox/process.py"


@dataclass(frozen=True)
class Verdict:
    """`by` is the test that caught the mutant, or how else it was caught; "" for a survivor."""

    mutant: Mutant
    by: str
    tests: int

    def as_json(self) -> dict:
        fields = dataclasses.asdict(self.mutant)
        names = ("file", "function", "line", "before", "after", "number")
        return {name: fields[name] for name in names} | {"by": self.by, "tests": self.tests}


class Choice:
    """The tests for a mutant."""

    def __init__(self, root: Path, tests: list[Test]) -> None:
        self.root = root
        self.by_name = {test.name: test for test in tests}
        self.by_line: dict[tuple[str, int], set[Test]] = defaultdict(set)
        self.by_file: dict[str, set[Test]] = defaultdict(set)  # modules, and files of tests
        for test in tests:
            self.by_file[_file(test)].add(test)
            for file, lines in test.lines.items():
                self.by_file[file].add(test)
                for line in lines:
                    self.by_line[file, line].add(test)

    def of(self, mutant: Mutant) -> list[Test]:
        """The quickest tests that reach the mutant, within the budget, by test file."""
        chosen, seconds = [], 0.0
        for test in sorted(self.reaching(mutant), key=lambda test: test.seconds):
            seconds += test.seconds
            if seconds > BUDGET and chosen:
                break
            chosen.append(test)
        return chosen

    def reaching(self, mutant: Mutant) -> set[Test]:
        if mutant.lines:
            found = set().union(*(self.by_line[mutant.file, line] for line in mutant.lines))
        else:
            found = self.by_file[mutant.file].union(*map(self.by_file.get, self.importers(mutant)))
        if mutant.file.startswith(SANDBOXED):
            found |= self.by_file[SANDBOX]
        return found

    def importers(self, mutant: Mutant) -> list[str]:
        """The measured modules, and files of tests, that import the mutant's."""
        package, _, name = mutant.file.removesuffix(".py").replace("/", ".").rpartition(".")
        words = rf"{re.escape(package)}(\.{name}\b| import .*\b{name}\b)"
        return [file for file in self.by_file if re.search(words, (self.root / file).read_text())]

    def by_nearness(self, tests: list[Test]) -> dict[str, list[str]]:
        """Names by test file, first the file of which the largest part reaches the mutant."""
        groups: dict[str, list[str]] = defaultdict(list)
        for test in tests:
            groups[_file(test)].append(test.name)
        share = {file: len(names) / len(self.by_file[file]) for file, names in groups.items()}
        return dict(sorted(groups.items(), key=lambda item: -share[item[0]]))


def judge(tree: Path, mutant: Mutant, choice: Choice) -> Verdict:
    """Run the tests on the mutant; the tree is as before afterwards."""
    tests = choice.of(mutant)
    if not tests:
        return Verdict(mutant, "", 0)
    module = tree / mutant.file
    before = module.read_text()
    module.write_text(mutant.applied_to(before))
    try:
        failed = failing(tree, choice.by_nearness(tests), sum(test.seconds for test in tests))
    finally:
        module.write_text(before)
    return Verdict(mutant, failed[0] if failed else "", len(tests))


def failing(
    tree: Path, groups: dict[str, list[str]], seconds: float, stop: bool = True
) -> list[str]:
    """The tests that fail, or why there was no result; with `stop` only the first."""
    log, names = tree.with_name("log"), tree.with_name("failed")
    names.write_text("")

    def work() -> int:
        for file, chosen in groups.items():
            only = _Only(set(chosen), names)
            status = pytest.main([*OPTIONS[not stop :], str(tree / file)], plugins=[only])
            if status not in (0, 1) or (status == 1 and stop):
                return int(status)
        return 0

    status = in_fork(tree, work, log, 60 + 6 * seconds)
    if status is None:
        return ["time limit"]
    if status and not names.read_text():
        return [f"exit status {status}: {log.read_text()[-300:]}"]
    return names.read_text().splitlines()


class _Only:
    """Run the chosen tests, and write down which fail."""

    def __init__(self, chosen: set[str], failed: Path) -> None:
        self.chosen, self.failed = chosen, failed

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self.chosen]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            with self.failed.open("a") as file:
                file.write(f"{report.nodeid}\n")


def _file(test: Test) -> str:
    return test.name.split("::")[0]
