"""The VAE runs: training and measuring one VAE, and sweeps over beta or latent dimension."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.data import Digits
from mnistdiff.experiments.profiles import Profile, load_digits
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
from mnistdiff.training import TrainConfig, VAELoss, fit_or_load
from mnistdiff.vae import VAE, VAEConfig

BETAS = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0)
LATENT_DIMS = (2, 10, 50, 100, 500)
SAMPLE_SEED = 1_000
PART = 2_000  # images whose losses are measured together


class VAERun(NamedTuple):
    """A trained VAE, its row of measures, and its mean losses per epoch."""

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
        epochs=profile.vae.epochs if epochs is None else epochs,
        batch_size=profile.vae.batch_size,
        learning_rate=profile.vae.learning_rate,
        seed=seed,
        cosine_decay=profile.vae.cosine_decay,
        ema_decay=profile.vae.ema_decay,
    )
    seed_everything(seed)
    device = default_device()
    model = VAE(VAEConfig(latent_dim, profile.vae.width, profile.vae.blocks)).to(device)
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
        **_mean_losses(
            model, train.images, loss, torch.Generator().manual_seed(SAMPLE_SEED + seed)
        ),
        **measure_vae(model, test, loss, profile.samples, seed),
        "seconds": fit.seconds,
    }
    return VAERun(model, row, fit.history)


@torch.inference_mode()
def _mean_losses(
    model: VAE, images: Float[Tensor, "n 1 28 28"], loss: VAELoss, generator: torch.Generator
) -> dict[str, float]:
    """Return the mean losses over all images, with one latent draw per image."""
    sums: dict[str, float] = {}
    for part in images.split(PART):
        for name, value in loss(model, part, generator).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part)
    return {name: total / len(images) for name, total in sums.items()}


@torch.inference_mode()
def measure_vae(
    model: VAE, test: Digits, loss: VAELoss, samples: int, seed: int = 0
) -> dict[str, Any]:
    """Measure test losses, label accuracy of reconstructions, and the quality of prior samples."""
    generator = torch.Generator().manual_seed(SAMPLE_SEED + seed)
    losses = _mean_losses(model, test.images, loss, generator)
    mu, _ = model.encode(test.images)
    judge = load_judge()
    reading = read_digits(model.decode(mu), judge.classifier)
    correct = int((reading.digits == test.labels).sum())
    drawn = read_digits(sample_prior(model, samples, generator), judge.classifier)
    confident = int((drawn.confidence > CONFIDENT).sum())
    return {
        **{f"{name}_test": value for name, value in losses.items()},
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
    """Fit a VAE with latent dimension 100 per beta (the report's Table 2, and 0.5)."""
    return [fit_vae(profile, beta=beta) for beta in betas]


def latent_dim_sweep(profile: Profile, dims: Sequence[int] = LATENT_DIMS) -> list[VAERun]:
    """Fit a VAE with beta 1 per latent dimension (the report's Table 3, and 10)."""
    return [fit_vae(profile, latent_dim=dim) for dim in dims]
