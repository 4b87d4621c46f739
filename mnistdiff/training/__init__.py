"""Train a network: the loop, its state, the cache of finished runs, and what is minimised."""

from mnistdiff.runtime import seed_everything
from mnistdiff.training.cache import Fit, fit_or_load
from mnistdiff.training.loop import LossFunction, TrainStep, train
from mnistdiff.training.muon import Muon
from mnistdiff.training.objectives import (
    PREDICTION_TYPES,
    ContrastiveLoss,
    DiffusionLoss,
    FlowLoss,
    TextToImageLoss,
    VAELoss,
    draw_timesteps,
)
from mnistdiff.training.state import EMA, TrainConfig

__all__ = [
    "EMA",
    "PREDICTION_TYPES",
    "ContrastiveLoss",
    "DiffusionLoss",
    "Fit",
    "FlowLoss",
    "LossFunction",
    "Muon",
    "TextToImageLoss",
    "TrainConfig",
    "TrainStep",
    "VAELoss",
    "draw_timesteps",
    "fit_or_load",
    "seed_everything",
    "train",
]
