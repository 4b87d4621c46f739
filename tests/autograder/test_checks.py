"""Tests that checks are fair to honest answers, survive odd results and leave no trace."""

import contextlib
import random
import subprocess
import sys
import warnings
from typing import ClassVar

import pytest
import torch

from autograder import check
from autograder.checks import find, registry
from autograder.checks.base import Check, Draw, behaviour, close, earned
from autograder.inside.student import Handle, InKernel, Interrupted, WrongAnswer, plain

POINTS = {  # the table of points, a contract that students and gradebooks rely on
    "reparameterize": 4,
    "kl_divergence": 4,
    "vae_loss": 5,
    "kl_per_dimension": 3,
    "active_units": 3,
    "add_noise": 4,
    "ddpm_step": 5,
    "ddim_timesteps": 4,
    "ddim_sigma": 4,
    "ddim_step": 8,
    "scaling_factor": 3,
    "latent_loss": 5,
    "contrastive_loss": 6,
    "zero_shot_accuracy": 4,
    "eps_mlp_cond": 9,
    "drop_condition": 3,
    "apply_guidance": 4,
    "insert_lora": 4,
    "edit_sampler": 4,
}


class Lying:
    """An object that equals everything and raises on every attribute."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt if name == "shape" else ValueError(name)


class Text(str):
    __slots__ = ()


def endless() -> list:
    """Return a list that contains itself."""
    value: list = []
    value.append(value)
    return value


ODD = [None, 1, True, 0.5, "text", Text("text"), [], {}, (1, 2, 3), [None] * 3, object(), Lying()]
ODD += [endless(), float("nan"), 1j, torch.tensor(float("inf")), torch.zeros(0), torch.zeros(3, 4)]
ODD += [torch.full((3, 4), float("nan")), torch.zeros(3, 4, dtype=torch.cfloat), torch.ones(5)]
ODD += [torch.eye(3).to_sparse(), torch.zeros(3, 4, device="meta"), torch.tensor([True]), b"x"]
ODD += [torch.tensor(3), torch.tensor(3.0, requires_grad=True), [torch.ones(2, 2)] * 3, print]


def test_the_points_match_the_table() -> None:
    found = {name: sum(p for _, p, _ in each.behaviours()) for name, each in registry().items()}
    assert found.items() >= POINTS.items()
    assert all(find(name).points == points for name, points in found.items())


@pytest.mark.parametrize("grade_id", registry())
@pytest.mark.parametrize("odd", ODD, ids=lambda value: type(value).__name__)
def test_an_odd_result_earns_nothing_and_a_sentence(grade_id: str, odd: object, capfd) -> None:
    answer = find(grade_id).answer or grade_id
    assert check(grade_id, {answer: lambda *args: odd}) == 0.0
    assert grade_id in capfd.readouterr().out


@pytest.mark.parametrize("grade_id", registry())
@pytest.mark.parametrize(
    ("namespace", "hint"),
    [
        (lambda name: {}, "is not defined: run its cell"),
        (lambda name: {name: None}, "is not defined: run its cell"),
        (lambda name: {name: 3}, "not a function"),
        (lambda name: {name: lambda: None}, "raised TypeError"),
        (lambda name: {name: raising(NotImplementedError("fill in this cell"))}, "not written yet"),
        (lambda name: {name: raising(SystemExit(3))}, "raised SystemExit"),
        (lambda name: {name: raising(KeyboardInterrupt())}, "was interrupted"),
        (lambda name: {name: raising(BadText())}, "raised BadText"),
        (lambda name: {name: raising(RecursionError("deep"))}, "raised RecursionError"),
    ],
)
def test_what_student_code_raises_becomes_a_hint(grade_id, namespace, hint, capfd) -> None:
    assert check(grade_id, namespace(find(grade_id).answer or grade_id)) == 0.0
    assert hint in capfd.readouterr().out


def test_the_hint_names_the_error_of_a_cell_that_cannot_be_compiled(capfd) -> None:
    broken = "def add_noise(x0, t, noise, abar):\n    return (x0"
    for cells in (["", broken], ["", "x = 1", broken, "y = 2"]):
        assert check("add_noise", {"In": cells}) == 0.0
        hint = "`add_noise` is not defined, because its cell stops with SyntaxError in line 2"
        assert hint in capfd.readouterr().out


def test_the_hint_about_numpy_does_not_advise_to_detach(capfd) -> None:
    assert check("kl_divergence", {"kl_divergence": lambda mu, v: mu.numpy().sum()}) < 4.0
    out = capfd.readouterr().out
    assert "NumPy cuts the gradient" in out
    assert "Use tensor.detach()" not in out


class BadText(Exception):
    def __str__(self) -> str:
        raise ValueError


def raising(error: BaseException):
    """Return a function that raises this error, however it is called."""

    def function(*args: object) -> None:
        raise error

    return function


def test_after_an_interruption_no_more_student_code_runs() -> None:
    calls = []

    def stuck(*args: object) -> None:
        calls.append(args)
        raise KeyboardInterrupt

    assert check("kl_divergence", {"kl_divergence": stuck}) == 0.0
    assert len(calls) == 1


def right(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()


def test_the_seed_changes_the_inputs_and_one_seed_repeats_them() -> None:
    def seen(seed: int | None) -> list:
        inputs = []

        def spy(mu, logvar):
            inputs.append(mu.tolist())
            return right(mu, logvar)

        assert check("kl_divergence", {"kl_divergence": spy}, seed) == 4.0
        return inputs

    assert seen(1) == seen(1) != seen(2)
    assert seen(None) == seen(None)


def test_a_wrong_earlier_cell_costs_its_own_marks_only() -> None:
    def vae_loss(recon, x, mu, logvar, beta, loss_type):
        kind = "mse_loss" if loss_type == "mse" else "binary_cross_entropy"
        error = getattr(torch.nn.functional, kind)(recon, x, reduction="sum") / len(x)
        kl = namespace["kl_divergence"](mu, logvar)
        return error + beta * kl, error, kl

    def wrong(mu, logvar):
        return right(mu, logvar) / 7

    namespace = {"vae_loss": vae_loss, "kl_divergence": wrong}
    assert check("vae_loss", namespace) == 5.0
    assert check("kl_divergence", namespace) < 4.0
    assert namespace["kl_divergence"] is wrong
    del namespace["kl_divergence"]
    assert check("vae_loss", namespace) == 5.0
    assert "kl_divergence" not in namespace


def test_leftover_settings_of_the_notebook_neither_hurt_nor_get_lost() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")

            def touchy(mu, logvar):
                warnings.warn("turned into an error by the notebook", stacklevel=1)
                torch.manual_seed(0)
                random.seed(0)
                return right(mu, logvar)

            states = torch.get_rng_state(), random.getstate()
            assert check("kl_divergence", {"kl_divergence": touchy}) == 4.0
        assert torch.equal(torch.get_rng_state(), states[0])
        assert random.getstate() == states[1]
        assert torch.get_default_dtype() == torch.float64
        assert not torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)


def test_arguments_are_copies() -> None:
    given = torch.ones(2, 2)
    InKernel({"f": lambda x: x.zero_()}).call("f", given)
    assert given.tolist() == [[1, 1], [1, 1]]


def test_gradients_and_handles() -> None:
    student = InKernel({"f": lambda a, b: (a * a, 3 * b.detach()), "Linear": torch.nn.Linear})
    a, b = torch.tensor([2.0]), torch.tensor([5.0])
    assert student.grad(("f", 0), [a, b], (0, 1)) == [torch.tensor([4.0]), None]
    assert student.grad(("f", 1), [a, b], (0, 1)) == [None, None]
    weights = {"weight": torch.tensor([[2.0]]), "bias": torch.tensor([1.0])}
    handle = student.new("Linear", {"in_features": 1, "out_features": 1}, weights)
    assert handle == Handle(0)
    assert student.call(handle, torch.tensor([[3.0]])).item() == 7.0
    with pytest.raises(WrongAnswer, match="raised RuntimeError"):
        student.new("Linear", {"in_features": 2, "out_features": 1}, weights)


def test_only_plain_values_cross() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    assert type(plain(parameter)) is torch.Tensor
    assert not plain(parameter).requires_grad
    assert plain(parameter.detach().numpy()).tolist() == [1, 1]
    assert type(plain(parameter.detach().numpy()[0])) is float
    assert plain(Text("x")).type_name == "Text"
    assert plain(({"a": (1, None)},)) == [{"a": [1, None]}]


def test_close_is_not_fooled() -> None:
    assert close(torch.ones(2), torch.ones(2, dtype=torch.float64) + 1e-6)
    assert not close(torch.ones(2), torch.ones(2) + 1e-2)
    assert not close(torch.ones(2), torch.ones(1))
    assert not close(torch.tensor(float("nan")), torch.tensor(float("nan")))


def test_inputs_keep_away_from_zero() -> None:
    values = Draw(0).signed(1000).abs()
    assert values.min() >= 0.5
    assert values.max() <= 1.5


def test_importing_the_package_is_light() -> None:
    code = "import autograder, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_cell_raises() -> None:
    with pytest.raises(KeyError, match="no check for 'nonsense'; there are: reparameterize"):
        check("nonsense", {})


class TwoThings(Check):
    """A check whose first behaviour passes and whose second one takes too long."""

    name, points = "two_things", 3.0
    stand_ins: ClassVar = {"earlier": "mnistdiff.samplers:ddim_step"}

    @behaviour("the first", points=1)
    def first(self, student, draw):
        pass

    @behaviour("the second", points=2)
    def second(self, student, draw):
        raise Interrupted("it takes too long")


class OutOfTime(InKernel):
    """A student's side without time left for a second round."""

    @contextlib.contextmanager
    def standing_in(self, names):
        raise Interrupted("it takes too long")
        yield


def test_the_first_verdicts_stand_if_no_time_is_left():
    verdicts = TwoThings().run(OutOfTime({}), 0)
    assert earned(verdicts) == 1
    assert verdicts[1].hint == "it takes too long"
