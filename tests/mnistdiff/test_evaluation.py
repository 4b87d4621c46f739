"""The protocol and the runs behind it."""

import json

import numpy as np
import pytest
import scipy.stats
import torch

from mnistdiff.cli import main
from mnistdiff.diffusion import autoguided, generate, load_latent_model, load_pixel_model
from mnistdiff.errors import MnistdiffError
from mnistdiff.evaluation import curve, measure, real_against_real, summarise
from mnistdiff.experiments import PROFILES, fit_latent, load_digits
from mnistdiff.metrics import (
    distance_floor,
    distance_to_train,
    load_judge,
    student_interval,
    student_t,
)


def test_real_digits_are_near_perfect_and_a_constant_image_fails_everything():
    _, test = load_digits(PROFILES["quick"], quiet=True)
    real = measure(test.images, memorised=False)
    assert real["fd_ratio"] < 3
    assert real["coverage"] > 0.9 * real["coverage_real"]
    constant = measure(test.images[:1].expand(1000, -1, -1, -1), memorised=False)
    assert constant["fd_ratio"] > 100
    assert constant["coverage"] < 0.05
    assert constant["recall"] == 0


def test_copies_of_training_digits_are_found():
    train, test = load_digits(PROFILES["quick"], quiet=True)
    planted = torch.cat([train.images[:5], test.images[:95]])
    assert measure(planted)["memorised_share"] >= 0.05


def test_real_against_real_is_what_perfect_looks_like():
    row = real_against_real()
    assert all(0.8 < row[name] < 1.05 for name in ("precision", "recall", "density", "coverage"))


def test_student_interval_matches_the_textbook():
    low, high = student_interval([1.0, 2.0, 3.0])
    assert (low + high) / 2 == pytest.approx(2)
    assert (high - low) / 2 == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    for degrees in range(1, 41):
        assert student_t(degrees) == pytest.approx(scipy.stats.t.ppf(0.975, degrees), abs=0.003)
    summary = summarise([{"n": 5, "fd": 1.0, "recall": 0.9}, {"n": 5, "fd": 3.0, "recall": 1.0}])
    assert summary["fd"] == 2
    assert summary["recall_interval"] == (pytest.approx(0.315, abs=0.001), 1.0)


@pytest.mark.parametrize("load", [load_pixel_model, load_latent_model])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpmpp_2m", "heun"])
def test_shipped_models_draw_digits_and_the_seed_decides_which(load, sampler):
    model = load()
    images = [generate(model, 3, sampler, 5, seed=seed).images for seed in (1, 1, 2)]
    assert images[0].shape == (3, 1, 28, 28)
    assert images[0].min() >= 0
    assert images[0].max() <= 1
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


@pytest.mark.parametrize("load", [load_pixel_model, load_latent_model])
def test_a_weak_copy_guides_in_the_middle_of_the_trajectory_only(load):
    model = load()
    guided = autoguided(model, 1.5)
    t = torch.tensor([499, 500, 799, 800])
    x_t = torch.randn(4, *model.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, weak, pushed = (net(x_t, t) for net in (model.model, model.weak, guided.model))
    assert torch.equal(pushed[[0, 3]], plain[[0, 3]])
    torch.testing.assert_close(pushed[1:3], (1.5 * plain - 0.5 * weak)[1:3])
    assert not torch.allclose(pushed[1:3], plain[1:3], atol=1e-3)
    with torch.no_grad():
        other = autoguided(model, 1.5, (0, 500)).model(x_t, t)
    assert torch.equal(other[1:], plain[1:])
    torch.testing.assert_close(other[:1], (1.5 * plain - 0.5 * weak)[:1])
    assert autoguided(model, 1) is model
    with pytest.raises(MnistdiffError, match="finite number >= 1"):
        autoguided(model, 0.5)


@pytest.mark.parametrize("which", ["--beta 1 --latent-dim 50", "--profile quick"])
def test_a_model_without_a_weak_copy_says_so(which, capsys):
    assert main(f"eval latent {which} --n 20 --autoguidance 2".split()) == 2
    assert "no weak copy" in capsys.readouterr().err


def test_a_latent_model_is_trained_once():
    first, _, fit = fit_latent(PROFILES["smoke"], 0.1, 4)
    again, _, _ = fit_latent(PROFILES["smoke"], 0.1, 4)
    assert fit.path.exists()
    for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_floor_is_that_of_random_test_digits():
    judge, generator = load_judge(), torch.Generator().manual_seed(99)
    for n in (1_000, 2_000):
        order = torch.randperm(10_000, generator=generator)[:n]
        drawn = distance_to_train(judge.test_features[order], judge)
        assert 0.7 < drawn / distance_floor(n) < 1.4


def test_a_curve_goes_on_and_is_never_mixed_with_another(tmp_path, monkeypatch):
    points = (("ddim", 0.0, 2), ("heun", None, 2))
    file = tmp_path / "curve.json"
    monkeypatch.setattr(curve, "CURVE", points[:1])
    first = curve.quality_curve("latent", 12, 0, file)["points"]
    monkeypatch.setattr(curve, "CURVE", points)
    both = curve.quality_curve("latent", 12, 0, file)["points"]
    assert both[0] == json.loads(json.dumps(first[0])), "drawn again"
    assert [row["evaluations"] for row in both] == [2, 3]
    with pytest.raises(MnistdiffError, match="another curve"):
        curve.quality_curve("latent", 13, 0, file)
    file.write_text("[]")
    with pytest.raises(MnistdiffError, match="not a quality curve"):
        curve.quality_curve("latent", 12, 0, file)


def test_unknown_names_are_told_in_words():
    with pytest.raises(MnistdiffError, match="'euler'"):
        generate(load_latent_model(), 2, "euler")
    for n, seed, words in ((0, 0, "n is 0"), (1.5, 0, "n is 1.5"), (1, -1, "seed is -1")):
        with pytest.raises(MnistdiffError, match=words):
            generate(load_latent_model(), n, seed=seed)
    with pytest.raises(MnistdiffError, match="--profile quick"):
        load_latent_model(3.0, 50)


def test_eval_prints_one_object_with_all_measures(capsys, tmp_path):
    file = tmp_path / "images.npz"
    command = "eval latent --n 20 --steps 5 --seeds 2 --json --save"
    assert main([*command.split(), str(file)]) == 0
    row = json.loads(capsys.readouterr().out)
    for name in (
        *("n", "seeds", "judge", "fd", "fd_floor", "fd_ratio", "precision", "recall", "density"),
        *("coverage", "coverage_real", "confident_share", "confident_interval", "seconds"),
        *("memorised_share", "data", "commit", "fd_ratio_interval", "coverage_interval"),
        "reconstructions_confident_share",
    ):
        assert name in row, name
    kept = np.load(file)
    assert kept["images"].shape == (20, 28, 28)
    assert kept["images"].dtype == np.uint8
    assert kept["labels"].shape == (20,)


@pytest.mark.parametrize(
    "bad",
    [
        *("--n 3", "--seeds 0", "--steps 1001", "--sampler x", "--eta 2", "--beta 7"),
        *("--save images.png", "--save /proc/x/y.npz", "--save-json /proc/x/y.json"),
    ],
)
def test_eval_tells_bad_options_in_words(bad, capsys):
    assert main(["eval", "latent", "--n", "20", "--steps", "2", *bad.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mnistdiff: ")
    assert "Traceback" not in error
