"""The runs behind every table: one profile, one VAE, and sweeps over beta or latent dimension."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.data import Digits, load_mnist
from mnistdiff.errors import MnistdiffError
from mnistdiff.metrics import (
    CONFIDENT,
    active_units,
    distance_floor,
    distance_to_train,
    load_judge,
    read_digits,
    wilson_interval,
)
from mnistdiff.runtime import default_device, seed_everything
from mnistdiff.storage import write_atomically
from mnistdiff.training import TrainConfig, fit_or_load
from mnistdiff.training.objectives import VAELoss
from mnistdiff.vae import VAE, VAEConfig

BETAS = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0)
LATENT_DIMS = (2, 10, 50, 100, 500)
SAMPLE_SEED = 1_000


@dataclass(frozen=True)
class Profile:
    """How much data, network and training an experiment gets."""

    name: str
    source: str  # of the digits: "bundled" or "full"
    train_size: int
    test_size: int
    epochs: int
    long_epochs: int  # Figure 2 compares `epochs` with these
    batch_size: int
    learning_rate: float
    width: int  # of the VAE's hidden layers
    blocks: int
    samples: int  # samples that the judge reads, per model
    pixel_epochs: int  # of the U-Net
    latent_epochs: int  # of the noise predictor on latents
    latent_width: int
    latent_batch_size: int
    clip_epochs: int
    text_epochs: int  # of the conditioned noise predictor
    text_width: int  # of its blocks
    lora_epochs: int
    ladder_epochs: int  # of each network on the ladder of section 6
    ladder_width: int
    ladder_samples: int  # per network
    cosine_decay: bool = False  # of the VAE's learning rate
    ddpm_steps: int = 1_000  # of the pixel-space DDPM beside which DDIM stands
    gallery: int = 36  # digits in each of those two grids, and per point of the curves
    curve_evaluations: tuple[int, ...] = (5, 10, 20, 50)  # of the network, per digit

    @property
    def label(self) -> str:
        """What a figure from this profile must say about itself."""
        return f"{self.name} profile: {self.train_size:,} training digits, {self.epochs} epochs"


PROFILES = {
    "smoke": Profile(
        name="smoke",
        source="bundled",
        train_size=256,
        test_size=128,
        epochs=1,
        long_epochs=2,
        batch_size=128,
        learning_rate=1e-3,
        width=32,
        blocks=1,
        samples=64,
        pixel_epochs=1,
        latent_epochs=1,
        latent_width=32,
        latent_batch_size=128,
        clip_epochs=1,
        text_epochs=1,
        text_width=64,
        lora_epochs=1,
        ladder_epochs=1,
        ladder_width=32,
        ladder_samples=60,
        ddpm_steps=12,
        gallery=16,
        curve_evaluations=(5, 7),
    ),
    "quick": Profile(
        name="quick",
        source="bundled",
        train_size=4_000,
        test_size=1_000,
        epochs=16,
        long_epochs=80,
        batch_size=64,
        learning_rate=2e-3,
        width=256,
        blocks=1,
        samples=1_000,
        pixel_epochs=3,
        latent_epochs=40,
        latent_width=160,
        latent_batch_size=128,
        clip_epochs=8,
        text_epochs=60,
        text_width=256,
        lora_epochs=6,
        ladder_epochs=24,
        ladder_width=128,
        ladder_samples=500,
    ),
    "report": Profile(
        name="report",
        source="full",
        train_size=60_000,
        test_size=10_000,
        epochs=40,
        long_epochs=200,
        batch_size=128,
        learning_rate=2e-4,
        width=768,
        blocks=2,
        samples=10_000,
        pixel_epochs=24,
        latent_epochs=100,
        latent_width=320,
        latent_batch_size=512,
        clip_epochs=12,
        text_epochs=120,
        text_width=384,
        lora_epochs=8,
        ladder_epochs=70,
        ladder_width=320,
        ladder_samples=5_000,
    ),
}
# the models that the package carries: small networks, trained at a higher learning rate
PROFILES["ship"] = replace(
    PROFILES["report"],
    name="ship",
    learning_rate=1e-3,
    width=256,
    latent_epochs=250,
    latent_batch_size=256,
    cosine_decay=True,
)


def get_profile(name: str = "quick") -> Profile:
    """The profile of that name, or of MNISTDIFF_PROFILE; "smoke" under nbgrader."""
    name = os.environ.get("MNISTDIFF_PROFILE") or name
    if os.environ.get("NBGRADER_EXECUTION"):
        name = "smoke"
    if name not in PROFILES:
        raise MnistdiffError(f"profile is {name!r}; it must be one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def load_digits(profile: Profile, quiet: bool = False) -> tuple[Digits, Digits]:
    """Training and test digits of a profile."""
    train = load_mnist("train", profile.source, quiet)
    test = load_mnist("test", profile.source, quiet)
    return _first(train, profile.train_size), _first(test, profile.test_size)


def _first(digits: Digits, n: int) -> Digits:
    return Digits(digits.images[:n], digits.labels[:n], digits.source)


class VAERun(NamedTuple):
    """A trained VAE, its row of measurements, and its mean losses per epoch."""

    model: VAE
    row: dict[str, Any]
    history: list[dict[str, float]]


def fit_vae(
    profile: Profile,
    beta: float = 1.0,
    latent_dim: int = 100,
    loss_type: str = "mse",
    epochs: int | None = None,
    seed: int = 0,
) -> VAERun:
    """Train a VAE (or load it from the cache) and measure it on the profile's test digits."""
    train, test = load_digits(profile, quiet=True)
    loss = VAELoss(beta, loss_type)
    config = TrainConfig(
        epochs=profile.epochs if epochs is None else epochs,
        batch_size=profile.batch_size,
        learning_rate=profile.learning_rate,
        seed=seed,
        cosine_decay=profile.cosine_decay,
    )
    seed_everything(seed)
    device = default_device()
    model = VAE(VAEConfig(latent_dim, profile.width, profile.blocks)).to(device)
    settings = {"beta": beta, "loss_type": loss_type}
    name = f"vae-{loss_type}-beta{beta:g}-dim{latent_dim}"
    fit = fit_or_load(name, model, loss, (train.images,), config, settings=settings)
    model = model.cpu().eval()
    row = {
        **settings,
        "latent_dim": latent_dim,
        "epochs": config.epochs,
        "seed": seed,
        "profile": profile.name,
        "data": train.source,
        **{name: fit.history[-1][name] for name in ("total", "recon", "kl")},
        **measure_vae(model, test, loss, profile.samples, seed),
        "seconds": fit.seconds,
    }
    return VAERun(model, row, fit.history)


@torch.inference_mode()
def measure_vae(
    model: VAE, test: Digits, loss: VAELoss, samples: int, seed: int = 0
) -> dict[str, Any]:
    """Test losses, label accuracy of reconstructions, and the judge's view of prior samples."""
    generator = torch.Generator().manual_seed(SAMPLE_SEED + seed)
    losses = loss(model, test.images, generator)
    mu, _ = model.encode(test.images)
    judge = load_judge()
    reading = read_digits(model.decode(mu), judge.classifier)
    correct = int((reading.digits == test.labels).sum())
    drawn = read_digits(sample_prior(model, samples, generator), judge.classifier)
    confident = int((drawn.confidence > CONFIDENT).sum())
    return {
        **{f"{name}_test": float(value) for name, value in losses.items()},
        "recon_accuracy": correct / len(test.labels),
        "recon_accuracy_interval": wilson_interval(correct, len(test.labels)),
        "confident_share": confident / samples,
        "confident_interval": wilson_interval(confident, samples),
        "fd_ratio": distance_to_train(drawn.features, judge) / distance_floor(samples),
        "active_units": active_units(mu),
        "judge": judge.version,
    }


@torch.inference_mode()
def sample_prior(
    model: VAE, n: int, generator: torch.Generator | None = None
) -> Float[Tensor, "n 1 28 28"]:
    """Decode n latents drawn from the prior N(0, 1)."""
    return model.decode(torch.randn(n, model.config.latent_dim, generator=generator))


@torch.inference_mode()
def reconstruct(model: VAE, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    """Decode the posterior mean of each image."""
    return model.decode(model.encode(images)[0])


def beta_sweep(profile: Profile, betas: Sequence[float] = BETAS) -> list[VAERun]:
    """One VAE of latent dimension 100 per beta (the report's Table 2, and 0.5)."""
    return [fit_vae(profile, beta=beta) for beta in betas]


def latent_dim_sweep(profile: Profile, dims: Sequence[int] = LATENT_DIMS) -> list[VAERun]:
    """One VAE with beta 1 per latent dimension (the report's Table 3, and 10)."""
    return [fit_vae(profile, latent_dim=dim) for dim in dims]


def compare_table(runs: Iterable[VAERun], key: str, report: dict[Any, dict[str, Any]]) -> str:
    """Markdown table of training losses, ours beside the report's, by `key` (beta, latent_dim)."""
    names = ("total", "recon", "kl")
    words = [name.replace("kl", "KL") for name in names]
    head = [key.replace("_", " "), *(f"{n} {who}" for n in words for who in ("ours", "report"))]
    rows = []
    for run in runs:
        theirs = report.get(run.row[key], {})
        cells = [_name(run.row[key])]
        for name in names:
            cells += [f"{run.row[name]:.2f}", f"{theirs[name]:.2f}" if theirs else "–"]
        rows.append(cells)
    return markdown_table(head, rows)


def measured_table(runs: Iterable[VAERun], key: str) -> str:
    """Markdown table of what the judge measures, with 95 % Wilson intervals."""
    head = [
        key.replace("_", " "),
        "reconstructions read right, %",
        "samples read confidently, %",
        "FD ratio of samples",
        "active units",
    ]
    rows = []
    for run in runs:
        row = run.row
        rows.append(
            [
                _name(row[key]),
                percent(row["recon_accuracy"], row["recon_accuracy_interval"]),
                percent(row["confident_share"], row["confident_interval"]),
                f"{row['fd_ratio']:.0f}",
                f"{row['active_units']} of {row['latent_dim']}",
            ]
        )
    return markdown_table(head, rows)


def _name(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def percent(share: float, interval: tuple[float, float]) -> str:
    """A share with its interval: "87.2 (85.0–89.1)"."""
    return f"{100 * share:.1f} ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table: columns of numbers to the right, columns of words to the left."""
    rows = list(rows)
    columns = [[row[i] for row in rows] for i in range(len(head))]
    rule = ["---:" if _are_numbers(column) else ":---" for column in columns]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def _are_numbers(cells: Sequence[str]) -> bool:
    """Whether at least half of the cells that hold anything begin with a number."""
    held = [cell.lstrip("*+-−") for cell in cells if cell not in ("", "–")]
    return 2 * sum(cell[:1].isdigit() for cell in held) >= len(held)


def save_result(path: Path, result: dict[str, Any]) -> None:
    """Write a result with the commit and hardware it came from, for the book's tables."""
    text = json.dumps(result | provenance(), indent=1, sort_keys=True) + "\n"
    write_atomically(path, text.encode())


def provenance() -> dict[str, str]:
    """Commit (if the package runs from a checkout), hardware and torch version."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "not a checkout"
    device = default_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    hardware = f"{device.type} {name}, {torch.get_num_threads()} threads"
    return {"commit": commit, "hardware": hardware, "torch": torch.__version__}
