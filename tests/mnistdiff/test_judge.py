"""The shipped judge: good enough to be believed, small enough to ship."""

import pytest
import torch

from mnistdiff.data import load_mnist
from mnistdiff.errors import MnistdiffError
from mnistdiff.experiments.judge import calibration_error, evaluate_judge, random_shift
from mnistdiff.metrics import (
    classifier,
    distance_floor,
    distance_to_train,
    load_judge,
    load_second_classifier,
    read_digits,
)
from mnistdiff.storage import PACKAGED, read_weights, save_weights


def test_digits_are_shifted_by_up_to_two_pixels_in_every_direction():
    dot = torch.zeros(800, 1, 28, 28)
    dot[:, 0, 14, 14] = 1
    generator = torch.Generator().manual_seed(0)
    moved = torch.cat([random_shift(dot, generator) for _ in range(30)])
    assert (moved.sum(dim=(1, 2, 3)) == 1).all()
    rows, columns = moved.nonzero()[:, 2:].T
    for places in (rows, columns):
        assert set(places.tolist()) == {12, 13, 14, 15, 16}


def test_judge_meets_its_gates_on_full_mnist(full_mnist):
    result = evaluate_judge()
    assert result["n"] == 10_000
    assert result["accuracy"] >= 0.994
    assert result["second_accuracy"] >= 0.99
    assert result["fd_floor"] <= 0.3
    assert result["sensitivity"]["noise_0.05"] >= 20
    assert result["sensitivity"]["blur_3x3"] >= 80
    assert result["sensitivity"]["missing_nine"] >= 40
    assert result["calibration_error"] < 0.1


def test_judge_reads_the_bundled_digits_and_notices_noise():
    test = load_mnist("test", "bundled", quiet=True)
    judge = load_judge()
    reading = read_digits(test.images)
    assert (reading.digits == test.labels).float().mean() > 0.99
    clean = distance_to_train(reading.features, judge)
    noisy = read_digits((test.images + 0.1 * torch.randn_like(test.images)).clamp(0, 1))
    assert distance_to_train(noisy.features, judge) > 10 * clean
    assert (
        distance_floor() < distance_floor(5_000) < distance_floor(1_000)
    )  # fewer images, larger distance


def test_the_two_classifiers_differ_and_fit_in_four_megabytes():
    assert load_judge().classifier.config != load_second_classifier().config
    names = ("judge-v1", "second-v1")
    assert sum((PACKAGED / f"{n}.safetensors").stat().st_size for n in names) <= 4e6


@pytest.mark.parametrize("key", ["config", "version"])
def test_a_classifier_without_an_entry_is_told_in_words(tmp_path, monkeypatch, key):
    tensors, meta = read_weights(PACKAGED / "second-v1.safetensors")
    del meta[key]
    save_weights(tmp_path / "second-v1.safetensors", tensors, meta)
    monkeypatch.setattr(classifier, "PACKAGED", tmp_path)
    with pytest.raises(MnistdiffError, match=rf"second-v1\.safetensors lacks '{key}'"):
        load_second_classifier.__wrapped__()


def test_calibration_error_of_a_certain_liar_is_one():
    sure, right = torch.ones(10), torch.ones(10, dtype=torch.bool)
    assert calibration_error(sure, ~right) == pytest.approx(1)
    assert calibration_error(sure, right) == pytest.approx(0)


def test_shifts_stay_small_and_keep_every_pixel():
    images = torch.zeros(16, 1, 28, 28)
    images[:, :, 14, 14] = 1
    moved = random_shift(images, torch.Generator().manual_seed(0))
    assert moved.sum() == 16
    assert moved[:, :, 12:17, 12:17].sum() == 16
    assert not torch.equal(moved, images)
