"""Tests of the checks of a student's class: building, filling and sealing it."""

import pytest
import torch
from torch import Tensor, nn

import mnistdiff.clip
import mnistdiff.guidance
import mnistdiff.latent
from autograder import check
from autograder.checks import registry
from autograder.checks.base import Draw, close
from autograder.checks.contrastive import unit
from autograder.inside.guards import seal
from autograder.inside.stubs import Filled, Settings
from autograder.inside.student import InKernel, WrongAnswer
from mnistdiff.latent import EpsMLP, EpsMLPCondConfig

CONFIG = Settings("mnistdiff.latent:EpsMLPCondConfig", latent_dim=3, width=4, emb_dim=2, cond_dim=5)
SEALED = ["mnistdiff.latent:EpsMLPCond.__init__", "mnistdiff.latent:EpsMLPCond.forward"]


def student(cls: type) -> InKernel:
    """Return a notebook that holds this class."""
    return InKernel({"Net": cls})


def network(forward):
    """Return a notebook with the given class and this `forward`."""

    class EpsMLPCond(EpsMLP):
        def __init__(self, config: EpsMLPCondConfig) -> None:
            super().__init__(config)
            emb = config.emb_dim
            steps = nn.Linear(config.cond_dim, emb), nn.SiLU(), nn.Linear(emb, emb)
            self.cond = nn.Sequential(*steps)
            self.null_cond = nn.Parameter(torch.zeros(config.cond_dim))

    EpsMLPCond.forward = forward
    return {"EpsMLPCond": EpsMLPCond}


def test_settings_build_the_librarys_configuration() -> None:
    assert CONFIG.build() == EpsMLPCondConfig(latent_dim=3, width=4, emb_dim=2, cond_dim=5)


def test_filled_weights_leave_nothing_at_zero_and_repeat() -> None:
    models = [mnistdiff.latent.EpsMLPCond(CONFIG.build()) for _ in range(2)]
    for model in models:
        Filled(3, {"null_cond": torch.arange(5.0), "head.1": 0.0}).fill(model)
    first, second = (dict(model.named_parameters()) for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["null_cond"].tolist() == [0, 1, 2, 3, 4]
    assert not first["head.1.weight"].any()
    rest = [p for name, p in first.items() if name != "null_cond" and "head.1" not in name]
    assert all((p != 0).all() for p in rest)
    with pytest.raises(AttributeError, match="leave the given parts as they are"):
        Filled(3, {"hea": 0.0}).fill(models[0])


def test_new_builds_in_either_mode_and_refuses_anything_but_a_network() -> None:
    class Net(nn.Module):
        def __init__(self, config: EpsMLPCondConfig) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(config.cond_dim))

        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(0) + self.weight * self.training

    for training in (False, True):
        carrier = student(Net)
        handle = carrier.new("Net", CONFIG, Filled(0, {"weight": 2.0}), training=training)
        result, given = carrier.call_and_look(handle, torch.ones(5))
        assert result.tolist() == [2.0 * training] * 5
        assert given[0].tolist() == [0] * 5, "the argument as the call left it"
    with pytest.raises(WrongAnswer, match="a class of networks"):
        InKernel({"Net": lambda config: 3}).new("Net", CONFIG, Filled(0))


def test_gradients_of_a_part_are_one_flat_tensor() -> None:
    carrier = InKernel({"Net": nn.Bilinear})
    weights = {"weight": torch.ones(1, 1, 1), "bias": torch.ones(1)}
    sizes = {"in1_features": 1, "in2_features": 1, "out_features": 1}
    handle = carrier.new("Net", sizes, weights)
    x = torch.tensor([[3.0]])
    assert carrier.grad(handle, [x, x], ("weight", "bias", 0)) == [9.0, 1.0, 3.0]

    class Net(nn.Module):
        def __init__(self, config: object) -> None:
            super().__init__()
            self.body, self.idle = nn.Linear(1, 1), nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x)

    carrier = student(Net)
    handle = carrier.new("Net", CONFIG, Filled(0))
    body, idle = carrier.grad(handle, [x], ("body", "idle"))
    assert body.tolist() == [3.0, 1.0]
    assert idle is None


def test_an_error_in_a_class_names_the_line_of_its_cell() -> None:
    namespace: dict = {"nn": nn}
    source = "class Net(nn.Module):\n    def forward(self, x):\n        return x.nonsense\n"
    exec(compile(source, "<cell>", "exec"), namespace)
    carrier = InKernel(namespace)
    namespace["Net"].__init__ = lambda self, config: nn.Module.__init__(self)
    handle = carrier.new("Net", CONFIG, Filled(0))
    with pytest.raises(WrongAnswer, match="`Net` raised AttributeError in line 3 of its cell"):
        carrier.call(handle, torch.ones(1))


def test_the_librarys_class_is_sealed_on_every_path() -> None:
    config, library = CONFIG.build(), mnistdiff.latent.EpsMLPCond
    made, x = library(config), (torch.ones(2, 3), torch.tensor([1, 2]))

    class Below(library):
        pass

    with seal(SEALED):
        for use in (lambda: library(config), lambda: Below(config), lambda: made(*x)):
            with pytest.raises(RuntimeError, match=r"EpsMLPCond\..+ is sealed"):
                use()
        assert EpsMLP(config)(*x).shape == (2, 3), "what the student builds on stays open"
    assert Below(config)(*x).shape == made(*x).shape == (2, 3)


ODD = [None, 1.0, "text", torch.zeros(4, 5), torch.full((4, 5), float("nan")), [torch.ones(4, 5)]]


@pytest.mark.parametrize("odd", ODD, ids=lambda value: type(value).__name__)
def test_an_odd_prediction_earns_nothing(odd: object, capfd) -> None:
    assert check("eps_mlp_cond", network(lambda self, x_t, t, cond=None: odd)) == 0.0
    assert "eps_mlp_cond" in capfd.readouterr().out


def test_the_model_solutions_get_full_marks() -> None:
    forward, build = (getattr(mnistdiff.latent.EpsMLPCond, n) for n in ("forward", "__init__"))
    copies = {
        "eps_mlp_cond": network(
            lambda self, x_t, t, cond=None: self.denoise(
                x_t,
                self.embed_time(t)
                + self.cond(self.null_cond.expand(len(x_t), -1) if cond is None else cond),
            )
        ),
        "drop_condition": {
            "drop_condition": lambda cond, null, drop: torch.where(drop[:, None], null, cond)
        },
    }
    for name, namespace in copies.items():
        assert check(name, namespace) == registry()[name].points
    assert (forward, build) == (
        mnistdiff.latent.EpsMLPCond.forward,
        mnistdiff.latent.EpsMLPCond.__init__,
    )


def test_the_formulas_of_the_checks_match_the_library() -> None:
    contrastive = registry()["contrastive_loss"]()
    for seed in range(20):
        draw = Draw(seed)
        images, texts = unit(draw.signed(5, 6)), unit(draw.signed(5, 6))
        ours = contrastive._both(images, texts, 3.0)
        assert close(mnistdiff.clip.contrastive_loss(7 * images, texts, 3.0), ours)
        images, texts = contrastive._symmetric(draw, (5, 6))
        assert close(
            contrastive._cross_entropy(images, texts), contrastive._cross_entropy(texts, images)
        )
        zero_shot = registry()["zero_shot_accuracy"]()
        images, texts, labels, wrong = zero_shot._case(draw, 30, 7)
        assert close(mnistdiff.clip.zero_shot_accuracy(images, texts, labels), 1 - wrong / 30)
        for uncond, cond in registry()["apply_guidance"]()._cases(draw):
            right = uncond + 2.5 * (cond - uncond)
            assert close(mnistdiff.guidance.apply_guidance(uncond, cond, 2.5), right)
        for cond, null, drop in registry()["drop_condition"]()._cases(draw):
            dropped = mnistdiff.latent.drop_condition(cond, null, drop)
            assert close(dropped[drop], null.expand_as(cond)[drop])
            assert close(dropped[~drop], cond[~drop])
