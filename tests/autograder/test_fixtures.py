"""Tests that every answer in tests/answers/ gets the marks and the hint of its first line."""

import os
import re
from pathlib import Path

import pytest

import autograder
from autograder.checks import find, registry
from autograder.inside.student import InKernel

ANSWERS = Path(__file__).parents[1] / "answers"
FIXTURES = sorted(ANSWERS.glob("*/*.py"))
HEADER = re.compile(r"# points: (?P<points>[\d.]+) \| hint:(?P<hint>.*)")
IMPORTS = """import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn"""
SOAK = "MNISTDIFF_SOAK" in os.environ
# 5059 and 138 once changed a mark: a slope of nearly 0, and a result clipped as a whole.
SEEDS = {"right": [*range(1000 if SOAK else 12), 5059], "wrong": [*range(1000 if SOAK else 4), 138]}


def read(path: Path) -> tuple[float, str]:
    """Return points and hint of a fixture."""
    header = HEADER.fullmatch(path.read_text().splitlines()[0])
    assert header, f"{path}: the first line is not `# points: 2 | hint: text`"
    return float(header["points"]), header["hint"].strip()


def notebook(path: Path) -> dict:
    """Return the namespace of a notebook after its set-up cell and this answer cell."""
    namespace = {"__name__": "__main__"}
    exec(IMPORTS, namespace)
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    return namespace


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_fixture_gets_its_points_and_hint_for_every_seed(path: Path) -> None:
    points, hint = read(path)
    student = InKernel(notebook(path))
    for seed in SEEDS[path.stem.split("_")[0]]:
        verdicts = find(path.parent.name)().run(student, seed)
        lines = autograder.report(path.parent.name, verdicts)
        assert sum(v.points for v in verdicts if v.passed) == points, (seed, lines)
        assert any(hint in line for line in lines) or not hint, (seed, lines)


@pytest.mark.parametrize(
    "path", sorted((ANSWERS.parents[1] / "solutions").glob("0*.py")), ids=lambda p: p.stem
)
def test_every_notebook_imports_what_answers_use(path: Path) -> None:
    assert {line for line in IMPORTS.splitlines() if line} <= set(path.read_text().splitlines())


@pytest.mark.parametrize("grade_id", registry())
def test_there_are_enough_fixtures(grade_id: str) -> None:
    names = [path.stem for path in FIXTURES if path.parent.name == grade_id]
    assert sum(name.startswith("wrong_") for name in names) >= 4
    assert sum(name.startswith("right_") for name in names) >= 4
    assert "wrong_blank" in names


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_right_means_full_marks_and_wrong_means_fewer(path: Path) -> None:
    points, hint = read(path)
    full = find(path.parent.name).points
    assert (points == full) == path.stem.startswith("right_")
    assert bool(hint) == path.stem.startswith("wrong_")


def test_every_behaviour_can_fail_alone_or_with_others_and_can_pass() -> None:
    """Test this because a behaviour that no fixture fails may be unable to fail."""
    for grade_id, check in registry().items():
        outcomes: dict[str, set[bool]] = {title: set() for title, _, _ in check.behaviours()}
        for path in FIXTURES:
            if path.parent.name == grade_id and path.stem != "wrong_blank":
                for verdict in check().run(InKernel(notebook(path)), 0):
                    outcomes[verdict.property].add(verdict.passed)
        assert all(seen == {True, False} for seen in outcomes.values()), outcomes
