"""The protocol: every measure of a generator on the same samples, with intervals over seeds."""

import hashlib
import io
import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.data import load_mnist
from mnistdiff.diffusion import (
    LatentModel,
    PixelModel,
    generate,
    load_latent_model,
    load_pixel_model,
)
from mnistdiff.errors import MnistdiffError
from mnistdiff.experiments import reconstruct
from mnistdiff.metrics import (
    CONFIDENT,
    distance_floor,
    distance_to_train,
    load_judge,
    memorisation,
    prdc,
    read_digits,
    shuffled_test_features,
    student_interval,
    to_8_bits,
    wilson_interval,
)
from mnistdiff.results import provenance, save_result
from mnistdiff.storage import check_writable, write_atomically
from mnistdiff.vae import VAE

# Sampler, eta and steps of the quality-against-steps curve
CURVE = (  # the quick points first: a curve that is interrupted shows most samplers
    *(("ddim", 0.0, steps) for steps in (5, 10, 20, 50)),
    *(("dpmpp_2m", None, steps) for steps in (5, 10, 20, 50)),
    *(("heun", None, steps) for steps in (5, 10, 20)),
    *(("ddim", 0.0, steps) for steps in (100, 200)),
    *(("ddim", 0.5, steps) for steps in (10, 50, 200)),
    *(("ddim", 1.0, steps) for steps in (10, 50, 200)),
    ("ddpm", None, 1000),
)


NEIGHBOURS = 5_000  # images on each side of precision, recall, density and coverage
SHARES = {"precision", "recall", "coverage", "memorised_share"}


def measure(images: Float[Tensor, "n 1 28 28"], memorised: bool = True) -> dict[str, Any]:
    """FD and its ratio to the floor, PRDC, confident share and memorisation of one set of images.

    The floor is that of as many real test images. Precision, recall, density and coverage
    compare up to 5,000 images with as many test images; `coverage_real` is that of other test
    images. Memorisation looks among the training digits that `auto` finds.
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


@cache
def real_against_real(size: int = NEIGHBOURS) -> dict[str, float]:
    """PRDC of real test images against other real test images: what "perfect" looks like."""
    features = shuffled_test_features()
    return prdc(features[:size], features[-size:])


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
    """Sample n images with each seed and measure them; means, with 95 % intervals over seeds.

    The confident share pools all images (Wilson interval). `data` says what the model was
    trained on. `save` keeps the first seed's images (uint8, (N, 28, 28)) and the digits that the
    judge reads. Raises MnistdiffError for n < 10, no seeds, a file that cannot be written.
    """
    _check_n(n)
    if not seeds:
        raise MnistdiffError("there are 0 seeds; at least 1 is needed.")
    if save is not None:
        check_images_file(save)
    train = load_mnist("train", quiet=True)  # a broken file is better found before the sampling
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
        result |= _beside_reconstructions(model.vae, result["confident_share"])
    return result


def _beside_reconstructions(vae: VAE, confident_share: float) -> dict[str, float]:
    """The decoder's ceiling: how many reconstructed test digits are read confidently."""
    reading = read_digits(reconstruct(vae, load_mnist("test", quiet=True).images))
    ceiling = float((reading.confidence > CONFIDENT).double().mean())
    return {
        "reconstructions_confident_share": ceiling,
        "confident_share_of_reconstructions": confident_share / ceiling,
    }


def evaluations(sampler: str, num_inference_steps: int) -> int:
    """How often a sampler calls the network."""
    return 2 * num_inference_steps - 1 if sampler == "heun" else num_inference_steps


def quality_curve(space: str, n: int, seed: int, path: Path) -> dict[str, Any]:
    """Measure every point of `CURVE` on n images of a shipped model, in "pixel" or "latent" space.

    Each point is added to the result file at once, and those that it holds are not drawn again:
    an interrupted run goes on. Raises MnistdiffError for a file that holds another curve.
    """
    _check_n(n)
    check_writable(path)
    model = load_pixel_model() if space == "pixel" else load_latent_model()
    identity = {
        "space": space,
        "n": n,
        "seed": seed,
        "judge": load_judge().version,
        "weights": fingerprint(model.model),
    }
    result = _read_curve(path, identity)
    for sampler, eta, steps in CURVE:
        point = {"sampler": sampler, "eta": eta, "num_inference_steps": steps}
        if any(point.items() <= row.items() for row in result["points"]):
            continue
        samples = generate(model, n, sampler, steps, eta, seed)
        row = measure(samples.images, memorised=False)
        confident = row.pop("confident")
        row |= point | {"evaluations": evaluations(sampler, steps), "seconds": samples.seconds}
        row |= {
            "confident_share": confident / n,
            "confident_interval": wilson_interval(confident, n),
        }
        result["points"].append(row)
        save_result(path, result)
    return result


def _read_curve(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    if not path.exists():
        return identity | {"points": []}
    try:
        found = json.loads(path.read_text())
        same = all(found[name] == value for name, value in identity.items())
        rows = found["points"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MnistdiffError(
            f"{path} holds no quality curve ({type(error).__name__}: {error}); choose another file."
        ) from error
    if not same:
        held = ", ".join(f"{name} {found[name]}" for name in identity)
        raise MnistdiffError(f"{path} holds another curve ({held}); choose another file.")
    return identity | {"points": rows}


def fingerprint(network: nn.Module) -> str:
    """Twelve hexadecimal digits that tell one set of weights from another."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def _check_n(n: int) -> None:
    if n < 10:
        raise MnistdiffError(f"n is {n}; a distribution needs at least 10 images.")


def summarise(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Mean of every measure over seeds; with more than one seed also a Student interval."""
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
    """Raise MnistdiffError unless images can be kept there."""
    if path.suffix != ".npz":
        raise MnistdiffError(f"{path} does not end in .npz, which is what images are kept as.")
    check_writable(path)


def save_images(path: Path, images: Float[Tensor, "n 1 28 28"], labels: Int[Tensor, " n"]) -> None:
    """Keep images (uint8, (N, 28, 28)) and labels as a compressed .npz file."""
    pixels = (to_8_bits(images) * 255).round().to(torch.uint8)[:, 0]
    payload = io.BytesIO()
    np.savez_compressed(payload, images=pixels.numpy(), labels=labels.numpy())
    write_atomically(path, payload.getvalue())
