"""mnistdiff: VAEs and diffusion models on MNIST, small enough to read and carefully measured.

It re-exports the public names of the modules; torch is the only heavy import.
"""

from mnistdiff.data import Digits, batches, load_mnist, to_signed, to_unit
from mnistdiff.errors import MnistdiffError
from mnistdiff.guidance import apply_guidance
from mnistdiff.latent import EpsMLP, EpsMLPConfig, compute_scaling_factor, latent_loss
from mnistdiff.layers import MLPBlock, ResBlock, SelfAttention, append_dims, timestep_embedding
from mnistdiff.metrics import (
    DigitClassifier,
    active_units,
    frechet_distance,
    kl_per_dimension,
    label_accuracy,
    load_judge,
    memorisation,
    prdc,
    read_digits,
    wilson_interval,
)
from mnistdiff.runtime import seed_everything
from mnistdiff.samplers import (
    as_eps,
    ddim_sigma,
    ddim_step,
    ddpm_step,
    inference_timesteps,
    interpolate_noise,
    invert_ddim,
    sample_ddim,
    sample_ddpm,
    sample_dpmpp_2m,
    sample_flow,
    sample_heun,
)
from mnistdiff.schedules import (
    NoiseSchedule,
    add_noise,
    cosine_beta_schedule,
    linear_beta_schedule,
    predict_x0,
)
from mnistdiff.training import (
    EMA,
    DiffusionLoss,
    FlowLoss,
    TrainConfig,
    TrainStep,
    fit_or_load,
    train,
)
from mnistdiff.unet import UNet, UNetConfig
from mnistdiff.vae import VAE, VAEConfig, kl_divergence, vae_loss

__version__ = "0.1.0"

__all__ = [
    "EMA",
    "VAE",
    "DiffusionLoss",
    "DigitClassifier",
    "Digits",
    "EpsMLP",
    "EpsMLPConfig",
    "FlowLoss",
    "MLPBlock",
    "MnistdiffError",
    "NoiseSchedule",
    "ResBlock",
    "SelfAttention",
    "TrainConfig",
    "TrainStep",
    "UNet",
    "UNetConfig",
    "VAEConfig",
    "active_units",
    "add_noise",
    "append_dims",
    "apply_guidance",
    "as_eps",
    "batches",
    "compute_scaling_factor",
    "cosine_beta_schedule",
    "ddim_sigma",
    "ddim_step",
    "ddpm_step",
    "fit_or_load",
    "frechet_distance",
    "inference_timesteps",
    "interpolate_noise",
    "invert_ddim",
    "kl_divergence",
    "kl_per_dimension",
    "label_accuracy",
    "latent_loss",
    "linear_beta_schedule",
    "load_judge",
    "load_mnist",
    "memorisation",
    "prdc",
    "predict_x0",
    "read_digits",
    "sample_ddim",
    "sample_ddpm",
    "sample_dpmpp_2m",
    "sample_flow",
    "sample_heun",
    "seed_everything",
    "timestep_embedding",
    "to_signed",
    "to_unit",
    "train",
    "vae_loss",
    "wilson_interval",
]
