"""Do the checks give a verdict whatever the student's process answers?"""

import random
from copy import deepcopy

import pytest
import torch
from submissions import cell_of, released

from autograder.checks import find, registry
from autograder.grading import notebook_run
from autograder.grading.outputs import rebuilt_output
from autograder.grading.remote_student import RemoteStudent, plain_values
from autograder.inside import wire
from autograder.inside.stubs import Filled, Settings, Stub
from autograder.inside.student import Foreign, Handle, Interrupted, WrongAnswer
from autograder.submissions.rebuild import Rebuilt
from autograder.text import encodable

FLOATS = [0.0, -1.0, 1e30, float("nan"), float("inf"), -float("inf"), 0.5]
OTHERS = [None, True, False, 0, 7, -1, 10**400, -(2**63), "", "x", "\ud800", Handle(3)]
OTHERS += [Foreign("\udfff" * 1000), Stub("linear_eps"), Settings("os:abort"), Filled(1)]
TYPES = [torch.float32, torch.float64, torch.int64, torch.bool, torch.uint8, torch.complex64]
TYPES += [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16]
SHAPES = [(), (0,), (1,), (5,), (2, 3), (3, 4), (2, 1, 3, 4), (1, 5), (4, 0), (1,) * 9]


def rubbish(dice: random.Random, depth: int = 0) -> object:
    """A value that `wire.decode` can give."""
    kind = dice.choice(["number", "other", "tensor", "tensor", "list", "dict", "tuple"])
    if kind == "number" or depth > 5:
        return dice.choice(FLOATS)
    if kind == "other":
        return dice.choice(OTHERS)
    if kind == "tensor":
        values = torch.randn(dice.choice(SHAPES))
        values = torch.full_like(values, dice.choice(FLOATS)) if dice.random() < 0.3 else values
        return values.to(dice.choice(TYPES))
    items = [rubbish(dice, depth + 1) for _ in range(dice.randrange(4))]
    keys = ["class_type", "inputs", "1", "model", "\ud800"]
    named = {dice.choice(keys): item for item in items}
    return {"list": items, "tuple": tuple(items), "dict": named}[kind]


class Liar:
    """A sandbox that answers anything."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def ask(self, seconds: float, **request: object) -> dict:
        dice = self.dice
        if dice.random() < 0.1:
            return {dice.choice(["wrong", "interrupted", "odd"]): rubbish(dice)}
        args = request.get("args")
        same = args[0] if isinstance(args, list) and args else None
        answers = {
            "call_and_look": lambda: (rubbish(dice), [rubbish(dice) for _ in args or []]),
            "new": lambda: Handle(0),
            "grad": lambda: [dice.choice([None, torch.ones(3)]) for _ in request["wrt"]],
        }
        usual = answers.get(request["op"], lambda: same if dice.random() < 0.2 else rubbish(dice))
        return {"value": usual() if dice.random() < 0.9 else rubbish(dice)}


@pytest.mark.parametrize("name", registry())
def test_no_answer_of_a_notebook_makes_a_check_fail(name: str) -> None:
    for seed in range(60):
        try:
            verdicts = find(name)().run(RemoteStudent(Liar(seed)), seed)
        except WrongAnswer:
            continue  # raised outside any behaviour: `Run._judge` handles it
        assert sum(v.points for v in verdicts if v.passed) < find(name).points
        for verdict in verdicts:
            assert verdict.hint.encode("utf-8") is not None


def test_what_crosses_is_plain() -> None:
    for seed in range(500):
        _is_plain(plain_values(rubbish(random.Random(seed))))


def _is_plain(value: object) -> None:
    assert type(value) in (type(None), bool, int, float, str, torch.Tensor, list, dict, Foreign)
    for item in value.values() if isinstance(value, dict) else value if type(value) is list else []:
        _is_plain(item)
    if isinstance(value, int):
        float(value)
    if isinstance(value, str):
        value.encode()


@pytest.mark.parametrize(
    ("error", "points", "state", "words"),
    [
        (TypeError("odd"), None, "by hand", "its result could not be judged (TypeError)"),
        (WrongAnswer("it broke"), 0.0, "ended", "ddim_step: it broke"),
    ],
)
def test_a_check_that_fails_itself_costs_no_points(monkeypatch, error, points, state, words):
    def fail(self, student, seed):
        raise error

    notebook = deepcopy(released())
    run = notebook_run.Run(Rebuilt(notebook), ("project3", "ann"), None, {})
    monkeypatch.setattr(find("ddim_step"), "run", fail)
    run._judge(cell_of(notebook, "test_ddim_step"), Liar(0))
    result = run.results["test_ddim_step"]
    assert (result["points"], result["state"]) == (points, state)
    assert words in result["lines"][0]
    assert words in cell_of(notebook, "test_ddim_step").outputs[0].text


def test_a_check_has_a_limit_in_all() -> None:
    with pytest.raises(Interrupted, match="too long"):
        RemoteStudent(Liar(0), seconds=-1.0).call("f")


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert encodable("a\ud800", 10) == "a?"


@pytest.mark.parametrize(
    "raw",
    [
        {"output_type": "display_data", "data": {"image/png": '"><script>'}},
        {"output_type": "display_data", "data": {"image/png": 5}},
        {"output_type": "display_data"},
        {"output_type": "update_display_data", "data": {}},
        {"output_type": ["stream"]},
        {"output_type": "error", "ename": 1, "evalue": 2, "traceback": 3},
        [],
        None,
    ],
)
def test_an_output_that_is_none_is_not_kept(raw: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        rebuilt_output(raw)


def test_outputs_hold_no_html() -> None:
    raw = {"text/html": "<b>", "text/markdown": "a <script>b", "application/javascript": "x"}
    kept = rebuilt_output({"output_type": "display_data", "data": raw})
    assert kept.data == {"text/markdown": "a &lt;script>b"}


def test_seeds_differ_between_students_and_cells_and_stay() -> None:
    seeds = {notebook_run.seed_of("p", s, c) for s in ("a", "b") for c in ("x", "y")}
    assert len(seeds) == 4
    assert notebook_run.seed_of("project3", "ann", "ddim_step") == 225625826


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j])
def test_what_no_one_sends_does_not_cross(value: object) -> None:
    with pytest.raises(TypeError, match="cannot cross"):
        wire.encode(value, [])
