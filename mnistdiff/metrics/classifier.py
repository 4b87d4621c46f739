"""The judge, a pinned classifier that reads generated digits, and a second classifier."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import check_images
from mnistdiff.storage import PACKAGED, cache_and_copy, load_into, read_weights

CONFIDENT = 0.9  # a reading is confident if its softmax maximum is above this
SCORE_BATCH = 500


@dataclass(frozen=True)
class ClassifierConfig:
    """Architecture of a small CNN: one convolution per stage, 2x2 pooling between stages."""

    channels: tuple[int, ...] = (16, 32, 64)
    kernel_size: int = 3
    features: int = 64  # width of the penultimate layer, where Frechet distances are measured


class DigitClassifier(nn.Module):
    """A digit classifier; the judge's penultimate layer is the feature space of FD and PRDC."""

    def __init__(self, config: ClassifierConfig | None = None) -> None:
        super().__init__()
        self.config = config or ClassifierConfig()
        kernel, stages, width = self.config.kernel_size, [], 1
        for channels in self.config.channels:
            stages += [
                nn.Conv2d(width, channels, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            width = channels
        side = 28 // 2 ** (len(self.config.channels) - 1)
        self.body = nn.Sequential(*stages[:-1], nn.Flatten())  # no pooling after the last stage
        self.neck = nn.Linear(width * side * side, self.config.features)
        self.head = nn.Linear(self.config.features, 10)

    def features(self, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n f"]:
        """Return the penultimate activations, >= 0."""
        return F.relu(self.neck(self.body(images.to(self.neck.weight))))

    def forward(self, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        return self.head(self.features(images))


class Reading(NamedTuple):
    """A classifier's digits (N,), softmax maxima (N,) and penultimate features (N, F)."""

    digits: Int[Tensor, " n"]
    confidence: Float[Tensor, " n"]
    features: Float[Tensor, "n f"]


class Judge(NamedTuple):
    """A pinned classifier with its version and the reference statistics that ship with it."""

    classifier: DigitClassifier
    version: str
    train_mean: Float[Tensor, " f"]  # over all 60,000 training images, float64
    train_covariance: Float[Tensor, "f f"]
    test_features: Float[Tensor, "n f"]  # of the 10,000 test images


def load_judge() -> Judge:
    """Load the judge `judge-v1` from the package's weights."""
    return deepcopy(_shared_judge())


@cache
def _shared_judge() -> Judge:
    classifier, tensors, version = _load_classifier("judge-v1")
    return Judge(
        classifier,
        version,
        tensors["reference.train_mean"],
        tensors["reference.train_covariance"],
        tensors["reference.test_features"].float(),
    )


@cache_and_copy
def load_second_classifier() -> DigitClassifier:
    """Load the second classifier, which differs in architecture and seed; it selects settings."""
    return _load_classifier("second-v1")[0]


def _load_classifier(name: str) -> tuple[DigitClassifier, dict[str, Tensor], str]:
    path = PACKAGED / f"{name}.safetensors"
    tensors, meta = read_weights(path)
    config: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in meta["config"].items()
    }
    classifier = DigitClassifier(ClassifierConfig(**config))
    own = {k: v for k, v in tensors.items() if not k.startswith("reference.")}
    load_into(classifier, own, path)
    return classifier.eval(), tensors, meta["version"]


def to_8_bits(images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    """Round images to the 256 grey levels of a saved picture.

    Raises MnistdiffError unless images are (N, 1, 28, 28), floating-point, finite and in [0, 1]. A
    model may leave [0, 1] a little; values below -0.5 or above 2 mean another range.
    """
    images = images.float() if images.is_floating_point() else images
    check_images(images)
    if not torch.isfinite(images).all():
        raise MnistdiffError("images hold NaN or infinity; the model has diverged.")
    if images.numel() and not -0.5 <= images.min() <= images.max() <= 2:
        raise MnistdiffError(
            f"images lie in [{images.min():.3g}, {images.max():.3g}]; expected [0, 1]. Use "
            "`to_unit(images)` for [-1, 1], and `images / 255` for grey levels."
        )
    return (images.clamp(0, 1) * 255).round() / 255


@torch.inference_mode()
def read_digits(
    images: Float[Tensor, "n 1 28 28"], classifier: DigitClassifier | None = None
) -> Reading:
    """Classify images (rounded to 8 bits) with the judge, or another classifier."""
    classifier = classifier or _shared_judge().classifier  # read only: no copy for each call
    features = torch.cat(
        [classifier.features(to_8_bits(part)) for part in images.split(SCORE_BATCH)]
    )
    confidence, digits = classifier.head(features).softmax(dim=1).max(dim=1)
    return Reading(digits, confidence, features)


def label_accuracy(digits: Int[Tensor, " n"], labels: Int[Tensor, " n"]) -> float:
    """Return the share of images read as the digit that was asked for.

    Raises MnistdiffError if the shapes differ.
    """
    if digits.shape != labels.shape:
        raise MnistdiffError(
            f"digits have shape {tuple(digits.shape)} and labels {tuple(labels.shape)}; both must "
            "be (N,)."
        )
    return float((digits == labels).double().mean())
