"""The diffusion runs: a U-Net on pixels, a noise predictor on latents, and their weak copies."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from mnistdiff.data import to_signed
from mnistdiff.diffusion import PREDICTION_TYPE, LatentModel, default_schedule, encode_means
from mnistdiff.experiments.profiles import Profile, load_digits
from mnistdiff.experiments.vae import VAERun, fit_vae
from mnistdiff.latent import EpsMLP, EpsMLPConfig, compute_scaling_factor
from mnistdiff.runtime import default_device, seed_everything
from mnistdiff.samplers import as_eps
from mnistdiff.training import DiffusionLoss, Fit, TrainConfig, fit_or_load
from mnistdiff.unet import UNet, UNetConfig
from mnistdiff.vae import VAE

# the weak copies that autoguidance pushes away from
WEAK_UNET = UNetConfig(channels=(8, 16), emb_dim=16, width=16)
WEAK_WIDTH, WEAK_EPOCHS = 32, 4  # on latents


def pixel_training(epochs: int, seed: int = 0) -> TrainConfig:
    """Return the training settings of a U-Net."""
    return TrainConfig(
        epochs, 128, 5e-3, seed=seed, ema_decay=0.999, cosine_decay=True, optimiser="muon"
    )


def fit_unet(profile: Profile, seed: int = 0) -> tuple[UNet, Fit]:
    """Train a U-Net on the profile's digits, or load it from the cache."""
    train, _ = load_digits(profile, quiet=True)
    return _fit_unet("unet", UNetConfig(), train.images, pixel_training(profile.pixel.epochs, seed))


def fit_weak_unet(profile: Profile) -> tuple[UNet, Fit]:
    """Train the weak U-Net for autoguidance: 1/20 of the weights, half the digits, one epoch."""
    train, _ = load_digits(profile, quiet=True)
    half = train.images[: len(train.images) // 2]
    return _fit_unet("weak-unet", WEAK_UNET, half, pixel_training(1))


def _fit_unet(
    name: str, shape: UNetConfig, images: Float[Tensor, "n 1 28 28"], config: TrainConfig
) -> tuple[UNet, Fit]:
    seed_everything(config.seed)
    model = UNet(shape).to(default_device())
    loss = DiffusionLoss(default_schedule(), PREDICTION_TYPE)
    settings = {"schedule": "cosine", "prediction_type": PREDICTION_TYPE}
    fit = fit_or_load(name, model, loss, (to_signed(images),), config, settings=settings)
    return model.cpu().eval(), fit


def fit_eps_mlp(
    profile: Profile,
    vae: VAE,
    name: str,
    *,
    scaled: bool = True,
    ema: bool = True,
    width: int | None = None,
    seed: int = 0,
) -> tuple[LatentModel, Fit]:
    """Train a noise predictor on the latents of a VAE, or load it from the cache.

    With `scaled` False the latents stay unscaled, as in the report. With `ema` False sampling uses
    the last weights instead of their average. The default width is the profile's.
    """
    train, _ = load_digits(profile, quiet=True)
    latents = encode_means(vae, train.images)
    factor = compute_scaling_factor(latents) if scaled else 1.0
    config = TrainConfig(
        profile.latent.epochs,
        profile.latent.batch_size,
        2e-3,
        seed=seed,
        ema_decay=0.999 if ema else None,
        cosine_decay=True,
    )
    network, fit = _fit_eps_mlp(name, width or profile.latent.width, latents, factor, config)
    schedule = default_schedule()
    return LatentModel(as_eps(network, schedule), schedule, vae, factor), fit


def add_weak_copy(profile: Profile, model: LatentModel) -> LatentModel:
    """Return the model with a narrow, briefly trained copy, which autoguidance needs."""
    train, _ = load_digits(profile, quiet=True)
    latents = encode_means(model.vae, train.images)
    config = TrainConfig(WEAK_EPOCHS, 128, 2e-3, ema_decay=0.999, cosine_decay=True)
    network, _ = _fit_eps_mlp("weak-eps-mlp", WEAK_WIDTH, latents, model.scaling_factor, config)
    return replace(model, weak=as_eps(network, model.schedule))


def _fit_eps_mlp(
    name: str, width: int, latents: Float[Tensor, "n d"], factor: float, config: TrainConfig
) -> tuple[EpsMLP, Fit]:
    seed_everything(config.seed)
    network = EpsMLP(EpsMLPConfig(latents.shape[1], width)).to(default_device())
    settings = {"schedule": "cosine", "prediction_type": PREDICTION_TYPE, "factor": factor}
    loss = DiffusionLoss(default_schedule(), PREDICTION_TYPE)
    fit = fit_or_load(name, network, loss, (latents * factor,), config, settings=settings)
    return network.cpu().eval(), fit


def fit_latent(
    profile: Profile,
    beta: float = 1.0,
    latent_dim: int = 50,
    *,
    width: int | None = None,
    seed: int = 0,
) -> tuple[LatentModel, VAERun, Fit]:
    """Train a VAE and a noise predictor on its latents, or load them from the cache."""
    run = fit_vae(profile, beta=beta, latent_dim=latent_dim, seed=seed)
    name = f"eps-mlp-beta{beta:g}-dim{latent_dim}"
    model, fit = fit_eps_mlp(profile, run.model, name, width=width, seed=seed)
    return model, run, fit
