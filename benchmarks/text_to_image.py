"""Text to image: ours compared with a public class-conditional MNIST diffusion script.

Ours trains in the quick profile (CLIP, VAE and noise predictor; 4,000 digits). The peer is
TeaPearce/Conditional_Diffusion_MNIST, run from its clone. It gets ten times the CPU minutes of
ours. Then both draw 100 digits, which our judge reads.

    python benchmarks/text_to_image.py [--peer PATH] [--minutes M] [--guidance 2]
"""

import argparse
import contextlib
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnistdiff.data import batches, load_mnist
from mnistdiff.evaluation.text_to_image import prompts_and_labels
from mnistdiff.experiments import fit_tiny_sd, get_profile
from mnistdiff.metrics import label_accuracy, read_digits, wilson_interval
from mnistdiff.pipeline import TextToImagePipeline

DIGITS = torch.arange(10).repeat(10)  # in the peer's order: 0 ... 9, repeated


def cpu_minutes() -> float:
    return time.process_time() / 60


def reading(images: Tensor, labels: Tensor, minutes: float) -> dict[str, Any]:
    """Return label accuracy and CPU seconds per image."""
    accuracy = label_accuracy(read_digits(images).digits, labels)
    right = round(accuracy * len(labels))
    return {
        "accuracy": accuracy,
        "accuracy_interval": wilson_interval(right, len(labels)),
        "cpu_seconds_per_image": 60 * minutes / len(labels),
    }


def ours() -> tuple[dict[str, Any], TextToImagePipeline]:
    """Train from scratch and draw 100 digits."""
    with tempfile.TemporaryDirectory() as cache, fresh_cache(cache):
        started = cpu_minutes()
        pipeline = fit_tiny_sd(get_profile("quick")).pipeline
        trained = cpu_minutes() - started
    prompts, labels = prompts_and_labels(100)
    started = cpu_minutes()
    images = pipeline(prompts, generator=torch.Generator().manual_seed(0)).images
    return {"cpu_minutes": trained, **reading(images, labels, cpu_minutes() - started)}, pipeline


@contextlib.contextmanager
def fresh_cache(folder: str):
    import os

    before = os.environ.get("MNISTDIFF_CACHE")
    os.environ["MNISTDIFF_CACHE"] = folder
    try:
        yield
    finally:
        os.environ.pop("MNISTDIFF_CACHE")
        if before is not None:
            os.environ["MNISTDIFF_CACHE"] = before


def peer(clone: Path, minutes: float, guidance: float) -> dict[str, Any]:
    """Train the peer's network for some CPU minutes with its loss; draw with its sampler."""
    spec = importlib.util.spec_from_file_location("peer", clone / "script.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    torch.manual_seed(0)
    network = script.ContextUnet(in_channels=1, n_feat=128, n_classes=10)
    model = script.DDPM(nn_model=network, betas=(1e-4, 0.02), n_T=400, device="cpu", drop_prob=0.1)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    train = load_mnist("train", quiet=True)
    generator, started, steps = torch.Generator().manual_seed(0), cpu_minutes(), 0
    while cpu_minutes() - started < minutes:
        for images, labels in batches(
            train.images, train.labels, batch_size=256, generator=generator
        ):
            optimiser.zero_grad()
            model(images, labels).backward()
            optimiser.step()
            steps += 1
            if cpu_minutes() - started >= minutes:
                break
    trained = cpu_minutes() - started
    model.eval()
    started = cpu_minutes()
    with torch.no_grad(), contextlib.redirect_stdout(sys.stderr):
        images, _ = model.sample(100, (1, 28, 28), "cpu", guide_w=guidance)
    drawn = cpu_minutes() - started
    found = reading(images.clamp(0, 1), DIGITS, drawn)
    return {"cpu_minutes": trained, "steps": steps, "guide_w": guidance, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, help="clone of TeaPearce/Conditional_Diffusion_MNIST")
    parser.add_argument(
        "--minutes", type=float, help="CPU minutes for the peer (default: ten times ours)"
    )
    parser.add_argument("--guidance", type=float, default=2.0, help="the peer's guide_w")
    options = parser.parse_args()
    mine, _ = ours()
    result: dict[str, Any] = {"ours": mine, "threads": torch.get_num_threads()}
    if options.peer is not None:
        minutes = options.minutes or 10 * mine["cpu_minutes"]
        result["peer"] = peer(options.peer, minutes, options.guidance)
        result["seconds_per_image_ratio"] = (
            mine["cpu_seconds_per_image"] / result["peer"]["cpu_seconds_per_image"]
        )
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
