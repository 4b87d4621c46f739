"""All measures of one set of generated digits."""

from functools import cache
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mnistdiff.data import load_mnist
from mnistdiff.metrics import (
    CONFIDENT,
    distance_floor,
    distance_to_train,
    load_judge,
    memorisation,
    prdc,
    read_digits,
    shuffled_test_features,
    wilson_interval,
)

NEIGHBOURS = 5_000  # images on each side for precision, recall, density and coverage


def measure(images: Float[Tensor, "n 1 28 28"], memorised: bool = True) -> dict[str, Any]:
    """Return FD, its ratio to the floor, PRDC, confident count and memorised share of images.

    The floor is the FD of equally many real test images. Precision, recall, density and coverage
    compare up to 5,000 images with equally many test images; `coverage_real` compares other test
    images with them. Memorisation compares with the training digits that `auto` finds.
    """
    judge = load_judge()
    reading = read_digits(images)
    floor = distance_floor(len(images))
    fd = distance_to_train(reading.features, judge)
    size = min(len(images), NEIGHBOURS)
    row = {
        "n": len(images),
        "fd": fd,
        "fd_floor": floor,
        "fd_ratio": fd / floor,
        **prdc(shuffled_test_features()[:size], reading.features[:size]),
        "coverage_real": real_against_real(size)["coverage"],
        "confident": int((reading.confidence > CONFIDENT).sum()),
    }
    if memorised:
        copies = memorisation(images, load_mnist("train", quiet=True).images)
        row["memorised_share"] = copies["memorised_share"]
    return row


def measure_with_share(images: Float[Tensor, "n 1 28 28"]) -> dict[str, Any]:
    """Return the measures without memorisation, and the confident share with its interval."""
    row = measure(images, memorised=False)
    confident, n = row.pop("confident"), len(images)
    return row | {
        "confident_share": confident / n,
        "confident_interval": wilson_interval(confident, n),
    }


@cache
def real_against_real(size: int = NEIGHBOURS) -> dict[str, float]:
    """Return the PRDC of real test images against other real test images, as a reference."""
    features = shuffled_test_features()
    return prdc(features[:size], features[-size:])
