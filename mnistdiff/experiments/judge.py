"""Training and testing the judge: the classifier behind every quality measure."""

import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mnistdiff.data import Digits, load_mnist
from mnistdiff.metrics import (
    CONFIDENT,
    ClassifierConfig,
    DigitClassifier,
    Judge,
    distance_to_train,
    gaussian_statistics,
    label_accuracy,
    load_judge,
    load_second_classifier,
    read_digits,
    wilson_interval,
)
from mnistdiff.runtime import seed_everything
from mnistdiff.storage import PACKAGED, save_weights
from mnistdiff.training import TrainConfig, fit_or_load

LABEL_SMOOTHING = 0.05  # keeps a class's features together, so that FD detects a missing class
MAX_SHIFT = 2  # pixels; digits never touch the border, so rolling equals shifting
SHIFT_GROUPS = 8
HELD_OUT = 10_000  # the last training images, which the second classifier never sees
CALIBRATION = 5_000  # the first test images set the temperature; the rest measure its error
CALIBRATION_BINS = 15

# name: architecture, training images, seed
RECIPES = {
    "judge-v1": (ClassifierConfig(), 60_000, 0),
    "second-v1": (ClassifierConfig((12, 24, 48), kernel_size=5, features=96), 50_000, 1),
}
TRAINING = {"epochs": 10, "batch_size": 128, "learning_rate": 1e-3, "ema_decay": 0.999}


def judge_loss(
    model: DigitClassifier,
    images: Float[Tensor, "b 1 28 28"],
    labels: Int[Tensor, " b"],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Cross-entropy with label smoothing on randomly shifted images."""
    logits = model(random_shift(images, generator))
    return {"total": F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)}


def random_shift(
    images: Float[Tensor, "b 1 28 28"], generator: torch.Generator
) -> Float[Tensor, "b 1 28 28"]:
    """Shift each of a few groups of the batch by up to MAX_SHIFT pixels in x and y."""
    groups = images.chunk(SHIFT_GROUPS)
    shifts = torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (len(groups), 2), generator=generator)
    moved = [g.roll(tuple(s), dims=(2, 3)) for g, s in zip(groups, shifts.tolist(), strict=True)]
    return torch.cat(moved)


def train_classifier(name: str, folder: Path = PACKAGED) -> Path:
    """Train "judge-v1" or "second-v1" on full MNIST; write its weights and return their path.

    The judge's file also holds the reference statistics of FD.
    """
    config, n_train, seed = RECIPES[name]
    train = load_mnist("train", "full")
    seed_everything(seed)
    model = DigitClassifier(config)
    data = (train.images[:n_train], train.labels[:n_train])
    fit = fit_or_load(
        name, model, judge_loss, data, TrainConfig(seed=seed, **TRAINING), settings={}
    )
    test = load_mnist("test", "full", quiet=True)
    temperature = calibrate(model.eval(), test.images[:CALIBRATION], test.labels[:CALIBRATION])
    tensors = dict(model.state_dict())
    if name.startswith("judge"):
        tensors |= _reference_statistics(model, train, test)
    recipe = {
        "train_images": n_train,
        "seed": seed,
        **TRAINING,
        "label_smoothing": LABEL_SMOOTHING,
        "temperature": temperature,
        "seconds": fit.seconds,
    }
    path = folder / f"{name}.safetensors"
    save_weights(path, tensors, {"config": vars(config), "version": name, "recipe": recipe})
    return path


@torch.inference_mode()
def calibrate(
    model: DigitClassifier, images: Float[Tensor, "n 1 28 28"], labels: Int[Tensor, " n"]
) -> float:
    """Divide the logits by the temperature with the least cross-entropy (Guo et al., 2017).

    Label smoothing limits the confidence to about 95 %. The temperature is folded into the last
    layer, so predictions and features do not change. Returns the temperature.
    """
    logits = model.head(read_digits(images, model).features)
    candidates = torch.linspace(0.2, 2, 181).tolist()
    best = min(candidates, key=lambda t: F.cross_entropy(logits / t, labels).item())
    for parameter in model.head.parameters():
        parameter /= best
    return best


def _reference_statistics(model: DigitClassifier, train: Digits, test: Digits) -> dict[str, Tensor]:
    mean, covariance = gaussian_statistics(read_digits(train.images, model).features)
    return {
        "reference.train_mean": mean,
        "reference.train_covariance": covariance,
        # half precision halves the file; FD changes by less than 1e-4
        "reference.test_features": read_digits(test.images, model).features.half(),
    }


def evaluate_judge(judge: Judge | None = None) -> dict[str, Any]:
    """Accuracy on MNIST's test images, calibration, the FD floor and what FD is sensitive to."""
    started = time.perf_counter()
    judge, test = judge or load_judge(), load_mnist("test", "full", quiet=True)
    reading = read_digits(test.images, judge.classifier)
    second = read_digits(test.images, load_second_classifier())
    correct = int((reading.digits == test.labels).sum())
    floor = distance_to_train(judge.test_features, judge)
    return {
        "judge": judge.version,
        "n": len(test.labels),
        "accuracy": label_accuracy(reading.digits, test.labels),
        "accuracy_interval": wilson_interval(correct, len(test.labels)),
        "per_digit": _per_digit(reading.digits, test.labels),
        "calibration_error": calibration_error(
            reading.confidence[CALIBRATION:], (reading.digits == test.labels)[CALIBRATION:]
        ),
        "confident_share": float((reading.confidence > CONFIDENT).double().mean()),
        "fd_floor": floor,
        "sensitivity": {
            name: distance_to_train(read_digits(images, judge.classifier).features, judge) / floor
            for name, images in degraded_images(test).items()
        },
        "second_accuracy": label_accuracy(second.digits, test.labels),
        "disagreement": float((second.digits != reading.digits).double().mean()),
        "data": test.source,
        "seconds": time.perf_counter() - started,
    }


def degraded_images(test: Digits) -> dict[str, Float[Tensor, "n 1 28 28"]]:
    """Return test images with faults that a good measure must detect."""
    noise = torch.randn(test.images.shape, generator=torch.Generator().manual_seed(0))
    row = torch.tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(row, row)[None, None]  # 3x3 binomial
    return {
        "noise_0.05": (test.images + 0.05 * noise).clamp(0, 1),
        "blur_3x3": F.conv2d(test.images, kernel, padding=1),
        "missing_nine": test.images[test.labels != 9],
    }


def calibration_error(confidence: Float[Tensor, " n"], correct: Tensor) -> float:
    """Return the expected calibration error in equal-width bins (Guo et al., 2017, eq. 3)."""
    bins = (confidence * CALIBRATION_BINS).long().clamp(max=CALIBRATION_BINS - 1)
    gap = torch.zeros(CALIBRATION_BINS, dtype=torch.float64)
    gap.index_add_(0, bins, confidence.double() - correct.double())
    return float(gap.abs().sum() / len(confidence))


def _per_digit(digits: Int[Tensor, " n"], labels: Int[Tensor, " n"]) -> dict[str, float]:
    return {str(d): label_accuracy(digits[labels == d], labels[labels == d]) for d in range(10)}
