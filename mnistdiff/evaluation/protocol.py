"""The protocol: all measures of a generator on the same samples, with intervals over seeds."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mnistdiff.data import load_mnist
from mnistdiff.diffusion import (
    LatentModel,
    PixelModel,
    generate,
)
from mnistdiff.errors import MnistdiffError
from mnistdiff.evaluation.measure import measure
from mnistdiff.experiments import reconstruct
from mnistdiff.metrics import (
    CONFIDENT,
    load_judge,
    read_digits,
    student_interval,
    to_8_bits,
    wilson_interval,
)
from mnistdiff.results import provenance
from mnistdiff.storage import check_writable, write_atomically
from mnistdiff.vae import VAE

SHARES = {
    *("precision", "recall", "coverage", "memorised_share"),
    *("accuracy", "recon_accuracy", "confident_share"),
}


def evaluate(
    model: PixelModel | LatentModel,
    *,
    n: int = 10_000,
    seeds: Sequence[int] = (0, 1, 2),
    sampler: str = "ddim",
    num_inference_steps: int = 50,
    eta: float | None = None,
    data: str = "mnist",
    save: Path | None = None,
) -> dict[str, Any]:
    """Measure n images per seed; return means and 95 % intervals over seeds.

    The confident share pools all images (Wilson interval). `data` names the model's training data.
    `save` stores the first seed's images (uint8, (N, 28, 28)) and the digits that the judge reads.
    Raises MnistdiffError for n < 10, no seeds, or a file that cannot be written.
    """
    check_n(n)
    if not seeds:
        raise MnistdiffError("there are 0 seeds; at least 1 is needed.")
    if save is not None:
        check_images_file(save)
    train = load_mnist("train", quiet=True)  # a broken file should fail before the sampling
    rows, seconds = [], 0.0
    for seed in seeds:
        samples = generate(model, n, sampler, num_inference_steps, eta, seed)
        rows.append(measure(samples.images))
        seconds += samples.seconds
        if save is not None and seed == seeds[0]:
            save_images(save, samples.images, read_digits(samples.images).digits)
    confident, drawn = sum(row.pop("confident") for row in rows), n * len(rows)
    result = {
        "sampler": sampler,
        "num_inference_steps": num_inference_steps,
        **({} if eta is None else {"eta": eta}),
        "seeds": list(seeds),
        "judge": load_judge().version,
        **summarise(rows),
        "confident_share": confident / drawn,
        "confident_interval": wilson_interval(confident, drawn),
        "memorised_against": {"source": train.source, "n": len(train.images)},
        "seconds": seconds,
        "seconds_per_image": seconds / drawn,
        "data": data,
        **provenance(),
    }
    if isinstance(model, LatentModel):
        result |= _compare_with_reconstructions(model.vae, result["confident_share"])
    return result


def _compare_with_reconstructions(vae: VAE, confident_share: float) -> dict[str, float]:
    """Compare with the decoder's ceiling: the confident share of reconstructed test digits."""
    reading = read_digits(reconstruct(vae, load_mnist("test", quiet=True).images))
    ceiling = float((reading.confidence > CONFIDENT).double().mean())
    return {
        "reconstructions_confident_share": ceiling,
        "confident_share_of_reconstructions": confident_share / ceiling,
    }


def check_n(n: int) -> None:
    """Raise MnistdiffError if there are too few images for a distribution."""
    if n < 10:
        raise MnistdiffError(f"n is {n}; a distribution needs at least 10 images.")


def summarise(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return the mean of every measure over seeds; with several seeds also Student intervals."""
    summary: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        summary[name] = mean(values)
        if name in ("n", "fd_floor", "coverage_real"):  # the same for every seed
            summary[name] = values[0]
        elif len(values) > 1:
            low, high = student_interval(values)
            top = 1.0 if name in SHARES else math.inf
            summary[f"{name}_interval"] = (max(low, 0.0), min(high, top))
    return summary


def check_images_file(path: Path) -> None:
    """Raise MnistdiffError unless images can be saved there."""
    if path.suffix != ".npz":
        raise MnistdiffError(f"{path} does not end in .npz; images are saved as .npz files.")
    check_writable(path)


def save_images(path: Path, images: Float[Tensor, "n 1 28 28"], labels: Int[Tensor, " n"]) -> None:
    """Save images (as uint8, (N, 28, 28)) and labels in a compressed .npz file."""
    pixels = (to_8_bits(images) * 255).round().to(torch.uint8)[:, 0]
    payload = io.BytesIO()
    np.savez_compressed(payload, images=pixels.numpy(), labels=labels.numpy())
    write_atomically(path, payload.getvalue())
