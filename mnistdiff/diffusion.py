"""The diffusion runs: training the pixel and the latent noise predictor, and loading ours."""

from mnistdiff.data import to_signed
from mnistdiff.experiments import Profile, load_digits
from mnistdiff.objectives import DiffusionLoss
from mnistdiff.schedules import NoiseSchedule, cosine_beta_schedule
from mnistdiff.training import Fit, TrainConfig, default_device, fit_or_load, seed_everything
from mnistdiff.unet import UNet, UNetConfig


def pixel_schedule() -> NoiseSchedule:
    """The schedule that the shipped U-Net was trained with."""
    return NoiseSchedule(cosine_beta_schedule(1000))


def fit_unet(profile: Profile, seed: int = 0) -> tuple[UNet, Fit]:
    """Train a U-Net on the profile's digits, or load it from the cache."""
    train, _ = load_digits(profile, quiet=True)
    seed_everything(seed)
    model = UNet(UNetConfig()).to(default_device())
    loss = DiffusionLoss(pixel_schedule(), model.config.prediction_type)
    config = TrainConfig(
        profile.pixel_epochs, 128, 1e-3, seed=seed, ema_decay=0.999, cosine_decay=True
    )
    settings = {"schedule": "cosine", "prediction_type": model.config.prediction_type}
    data = (to_signed(train.images),)
    fit = fit_or_load("unet", model, loss, data, config, settings=settings)
    return model.cpu().eval(), fit
