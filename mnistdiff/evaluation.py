"""The protocol: every measure of a generator on the same samples, with intervals over seeds."""

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mnistdiff.data import find_full_mnist, load_mnist
from mnistdiff.diffusion import LatentModel, PixelModel, generate
from mnistdiff.errors import MnistdiffError
from mnistdiff.experiments import provenance, save_result
from mnistdiff.metrics import (
    CONFIDENT,
    distance_floor,
    distance_to_train,
    load_judge,
    memorisation,
    prdc,
    read_digits,
    to_8_bits,
    wilson_interval,
)

# Sampler, eta and steps of the quality-against-steps curve
CURVE = (
    *(("ddim", 0.0, steps) for steps in (5, 10, 20, 50, 100, 200)),
    *(("dpmpp_2m", None, steps) for steps in (5, 10, 20, 50)),
    *(("heun", None, steps) for steps in (5, 10, 20)),
    *(("ddim", 0.5, steps) for steps in (10, 50, 200)),
    *(("ddim", 1.0, steps) for steps in (10, 50, 200)),
    ("ddpm", None, 1000),
)
NEIGHBOURS = 5_000  # images on each side of precision, recall, density and coverage
# Student's t at 97.5 % for 1, 2, 3, ... degrees of freedom; the normal's beyond
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def measure(images: Float[Tensor, "n 1 28 28"], memorised: bool = True) -> dict[str, Any]:
    """FD and its ratio to the floor, PRDC, confident share and memorisation of one set of images.

    The floor is that of as many real test images. Precision, recall, density and coverage
    compare up to 5,000 images with as many test images; `coverage_real` is the other test
    images' own.
    """
    judge = load_judge()
    reading = read_digits(images)
    floor = distance_floor(judge, min(len(images), len(judge.test_features)))
    fd = distance_to_train(reading.features, judge)
    size = min(len(images), NEIGHBOURS)
    real = judge.test_features[::2][:size]
    row = {
        "n": len(images),
        "fd": fd,
        "fd_floor": floor,
        "fd_ratio": fd / floor,
        **prdc(real, reading.features[:size]),
        "coverage_real": real_against_real(size)["coverage"],
        "confident": int((reading.confidence > CONFIDENT).sum()),
    }
    if memorised:
        row["memorised_share"] = memorisation(images, load_mnist("train", quiet=True).images)[
            "memorised_share"
        ]
    return row


@cache
def real_against_real(size: int = NEIGHBOURS) -> dict[str, float]:
    """PRDC of real test images against other real test images: what "perfect" looks like."""
    features = load_judge().test_features
    return prdc(features[::2][:size], features[1::2][:size])


def evaluate(
    model: PixelModel | LatentModel,
    *,
    n: int = 10_000,
    seeds: Sequence[int] = (0, 1, 2),
    sampler: str = "ddim",
    num_inference_steps: int = 50,
    eta: float | None = None,
    save: Path | None = None,
) -> dict[str, Any]:
    """Sample n images with each seed and measure them; means, with 95 % intervals over seeds.

    The confident share pools all images (Wilson interval). `save` keeps the first seed's images
    (uint8, (N, 28, 28)) and the digits that the judge reads. Raises MnistdiffError for n < 10.
    """
    if n < 10 or not seeds:
        raise MnistdiffError(
            f"n is {n} with {len(seeds)} seeds; a distribution needs at least 10 images and 1 seed."
        )
    rows, seconds = [], 0.0
    for seed in seeds:
        samples = generate(model, n, sampler, num_inference_steps, eta, seed)
        rows.append(measure(samples.images))
        seconds += samples.seconds
        if save is not None and seed == seeds[0]:
            save_images(save, samples.images, read_digits(samples.images).digits)
    confident, drawn = sum(row.pop("confident") for row in rows), n * len(rows)
    return {
        "sampler": sampler,
        "num_inference_steps": num_inference_steps,
        **({} if eta is None else {"eta": eta}),
        "seeds": list(seeds),
        "judge": load_judge().version,
        **summarise(rows),
        "confident_share": confident / drawn,
        "confident_interval": wilson_interval(confident, drawn),
        "seconds": seconds,
        "seconds_per_image": seconds / drawn,
        "data": "mnist" if find_full_mnist() else "bundled",
        **provenance(),
    }


def evaluations(sampler: str, num_inference_steps: int) -> int:
    """How often a sampler calls the network."""
    return 2 * num_inference_steps - 1 if sampler == "heun" else num_inference_steps


def quality_curve(model: PixelModel | LatentModel, n: int, seed: int, path: Path) -> dict[str, Any]:
    """Measure every point of `CURVE` on n images, adding each to the result file at once.

    Points that the file already holds are not drawn again: an interrupted run goes on.
    """
    result = json.loads(path.read_text()) if path.exists() else {"points": []}
    done = {(row["sampler"], row["eta"], row["num_inference_steps"]) for row in result["points"]}
    for sampler, eta, steps in CURVE:
        if (sampler, eta, steps) in done:
            continue
        samples = generate(model, n, sampler, steps, eta, seed)
        row = measure(samples.images, memorised=False)
        row["confident_share"] = row["confident"] / n
        row["confident_interval"] = wilson_interval(row.pop("confident"), n)
        row |= {"sampler": sampler, "eta": eta, "num_inference_steps": steps}
        row |= {"evaluations": evaluations(sampler, steps), "seconds": samples.seconds}
        result["points"].append(row)
        save_result(path, result | {"n": n, "seed": seed, "judge": load_judge().version})
        result = json.loads(path.read_text())
    return result


def summarise(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Mean of every measure over seeds, with a Student interval where it varies."""
    summary: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        summary[name] = values[0] if isinstance(values[0], int) else mean(values)
        if len(values) > 1 and len(set(values)) > 1:
            summary[f"{name}_interval"] = student_interval(values)
    return summary


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few runs (Student, 1908)."""
    degrees = len(values) - 1
    factor = STUDENT_T[degrees - 1] if degrees <= len(STUDENT_T) else 1.96
    half = factor * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def save_images(path: Path, images: Float[Tensor, "n 1 28 28"], labels: Int[Tensor, " n"]) -> None:
    """Keep images (uint8, (N, 28, 28)) and labels as a compressed .npz file."""
    pixels = (to_8_bits(images) * 255).round().to(torch.uint8)[:, 0]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, images=pixels.numpy(), labels=labels.numpy())
    except OSError as error:
        raise MnistdiffError(
            f"{path} cannot be written ({error.strerror or error}); choose another file."
        ) from error
