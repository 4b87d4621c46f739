"""Choosing the shipped settings: the second classifier measures, declared rules decide.

Digits are compared with training images that the second classifier never saw. The judge has no
part in it, so its figures for the chosen settings are not those of the luckiest trial.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import prod
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from mnistdiff.evaluation.measure import NEIGHBOURS
from mnistdiff.experiments import Profile, load_digits
from mnistdiff.experiments.judge import HELD_OUT
from mnistdiff.metrics import (
    CONFIDENT,
    frechet_distance,
    gaussian_statistics,
    label_accuracy,
    load_second_classifier,
    prdc,
    read_digits,
)

LEAST_ACCURACY = 0.996  # of labels, for a guidance to be considered
NEARLY = 1.05  # fewer steps are chosen if their FD is at most this many times the lowest
Row = Mapping[str, Any]  # of a result file: a configuration and its measures


@cache
def held_out_features(profile: Profile) -> Float[Tensor, "n f"]:
    """Return the second classifier's features of the last training images (10,000, or 1/4)."""
    images = load_digits(profile, quiet=True)[0].images
    return read_digits(
        images[-min(HELD_OUT, len(images) // 4) :], load_second_classifier()
    ).features


def measure_for_choice(
    images: Float[Tensor, "n 1 28 28"], profile: Profile, labels: Int[Tensor, " n"] | None = None
) -> dict[str, Any]:
    """Return FD, PRDC and confident share of images, and with labels the accuracy."""
    reading, real = read_digits(images, load_second_classifier()), held_out_features(profile)
    size = min(len(images), len(real), NEIGHBOURS)
    accuracy = {} if labels is None else {"accuracy": label_accuracy(reading.digits, labels)}
    return {
        "n": len(images),
        "fd": frechet_distance(*gaussian_statistics(reading.features), *gaussian_statistics(real)),
        **prdc(real[:size], reading.features[:size]),
        "confident_share": float((reading.confidence > CONFIDENT).double().mean()),
        **accuracy,
        "classifier": "second-v1",
        "compared_with": f"the last {len(real):,} training images",
    }


def choose_guidance(rows: Sequence[Row]) -> Row:
    """Return the lowest FD with an accuracy of 99.6 % and the coverage of no guidance, or more."""
    (plain,) = [row for row in rows if row["scale"] == 1]
    good = [
        row
        for row in rows
        if row["accuracy"] >= LEAST_ACCURACY and row["coverage"] >= plain["coverage"]
    ]
    return min(good, key=lambda row: row["fd"])


def choose_steps(rows: Sequence[Row]) -> Row:
    """Return the fewest steps whose FD is at most 5 % above the lowest."""
    lowest = min(row["fd"] for row in rows)
    good = [row for row in rows if row["fd"] <= NEARLY * lowest]
    return min(good, key=lambda row: row["num_inference_steps"])


def choose_autoguidance(rows: Sequence[Row]) -> Row:
    """Return the setting, shared by the two models, with the lowest product of their FDs.

    Neither model's coverage may be below that without guidance.
    """
    pairs = [
        [row for row in rows if _setting(row) == setting]
        for setting in dict.fromkeys(map(_setting, rows))
    ]
    plain = {row["space"]: row["coverage"] for row in rows if row["scale"] == 1}
    good = [pair for pair in pairs if all(row["coverage"] >= plain[row["space"]] for row in pair)]
    return min(good, key=lambda pair: prod(row["fd"] for row in pair))[0]


def _setting(row: Row) -> tuple[float, ...]:
    return row["scale"], row["low"], row["high"]


def choose_vae(rows: Sequence[Row]) -> Row:
    """Return the VAE whose latent model has the lowest FD."""
    return min(rows, key=lambda row: row["fd"])


RULES: dict[str, Callable[[Sequence[Row]], Row]] = {  # experiment: its rule
    "choice_guidance": choose_guidance,
    "choice_steps": choose_steps,
    "choice_autoguidance": choose_autoguidance,
    "choice_vae": choose_vae,
}
