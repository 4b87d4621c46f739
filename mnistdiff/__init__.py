"""mnistdiff: VAEs and diffusion models on MNIST, small enough to read, measured enough to trust.

Every public name, by module; torch is the only heavy import.
"""

from mnistdiff.data import Digits, batches, load_mnist, to_signed, to_unit
from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import MLPBlock, append_dims
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
from mnistdiff.training import EMA, TrainConfig, TrainStep, fit_or_load, seed_everything, train
from mnistdiff.vae import VAE, VAEConfig, kl_divergence, vae_loss

__version__ = "0.1.0"

__all__ = [
    "EMA",
    "VAE",
    "DigitClassifier",
    "Digits",
    "MLPBlock",
    "MnistdiffError",
    "TrainConfig",
    "TrainStep",
    "VAEConfig",
    "active_units",
    "append_dims",
    "batches",
    "fit_or_load",
    "frechet_distance",
    "kl_divergence",
    "kl_per_dimension",
    "label_accuracy",
    "load_judge",
    "load_mnist",
    "memorisation",
    "prdc",
    "read_digits",
    "seed_everything",
    "to_signed",
    "to_unit",
    "train",
    "vae_loss",
    "wilson_interval",
]
