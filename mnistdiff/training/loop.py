"""Training as a generator: the caller plots and prints; a killed run resumes bit for bit."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mnistdiff.data import batches
from mnistdiff.errors import MnistdiffError
from mnistdiff.runtime import autocast, reuse_memory, under_grading
from mnistdiff.storage import load_into
from mnistdiff.training.state import TrainConfig, TrainState

# (model, *batch, generator) -> losses by name; training minimises "total".
LossFunction = Callable[..., dict[str, Tensor]]


class TrainStep(NamedTuple):
    """What `train` yields after each step; `epoch_means` is None except at the end of an epoch."""

    step: int
    epoch: int
    losses: dict[str, Tensor]
    epoch_means: dict[str, float] | None


def train(
    model: nn.Module,
    loss_function: LossFunction,
    data: tuple[Tensor, ...],
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    run_key: str = "",
) -> Iterator[TrainStep]:
    """Train in place and yield a TrainStep per batch.

    `loss_function(model, *batch, generator)` returns a dict of scalars with "total". With
    `checkpoint`, the whole state (weights, optimiser, average, random generator, means) is
    saved at the end of each epoch, and a later call with the same `run_key` continues from there
    to bit-identical weights. With `ema_decay` the model holds the averaged weights at the end.
    Under grading nothing is trained: it yields the losses of the first batch and stops. Raises
    MnistdiffError if there are no images, if they are not floating-point tensors, if the checkpoint
    belongs to another run, or if the loss becomes NaN or infinite.
    """
    _check_data(data)
    if under_grading():
        yield _evaluate_first_batch(model, loss_function, data, config)
        return
    reuse_memory()
    state = TrainState(model, config)
    if checkpoint is not None and checkpoint.exists():
        state.restore(checkpoint, run_key)
    device = next(model.parameters()).device
    total_steps = config.epochs * math.ceil(len(data[0]) / config.batch_size)
    while state.epoch < config.epochs:
        started, images_seen, sums = time.perf_counter(), 0, {}
        model.train()
        for batch in batches(*data, batch_size=config.batch_size, generator=state.generator):
            if config.cosine_decay:
                state.set_learning_rate(_cosine(state.step / total_steps))
            losses = _step(model, loss_function, batch, state, device)
            state.step += 1
            images_seen += len(batch[0])
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch[0])
            means = None
            if images_seen == len(data[0]):
                means = {name: float(value) / images_seen for name, value in sums.items()}
                _refuse_divergence(means["total"], state.epoch + 1, config.learning_rate)
                means = state.finish_epoch(means, time.perf_counter() - started)
                if checkpoint is not None:
                    state.save(checkpoint, run_key)
            yield TrainStep(state.step, state.epoch, losses, means)
    if state.ema is not None:
        load_into(model, state.ema.shadow, "the moving average")


def _check_data(data: tuple[Tensor, ...]) -> None:
    if not isinstance(data, tuple) or not all(isinstance(part, Tensor) for part in data):
        kinds = ", ".join(type(part).__name__ for part in data)
        raise MnistdiffError(
            f"the training data are {kinds}; expected a tuple of tensors such as (images,). "
            "`torch.from_numpy` makes a tensor of an array."
        )
    if not data or not len(data[0]):
        raise MnistdiffError("there are 0 images to train on; give at least one.")
    if not data[0].is_floating_point():
        kind = str(data[0].dtype).removeprefix("torch.")
        raise MnistdiffError(
            f"the images are {kind}; expected float32 in [0, 1]: `images.float() / 255`."
        )


def _evaluate_first_batch(
    model: nn.Module, loss_function: LossFunction, data: tuple[Tensor, ...], config: TrainConfig
) -> TrainStep:
    generator = torch.Generator().manual_seed(config.seed)
    batch = next(batches(*data, batch_size=config.batch_size, generator=generator))
    losses = {k: v.detach() for k, v in loss_function(model, *batch, generator).items()}
    means = {name: float(value) for name, value in losses.items()}
    return TrainStep(1, 1, losses, {"epoch": 1, "elapsed": 0.0, **means})


def _refuse_divergence(loss: float, epoch: int, learning_rate: float) -> None:
    if not math.isfinite(loss):
        raise MnistdiffError(
            f"the loss is {loss} in epoch {epoch}: the training has diverged. Lower "
            f"learning_rate ({learning_rate:g}) or the weights of the loss's terms."
        )


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _step(
    model: nn.Module,
    loss_function: LossFunction,
    batch: tuple[Tensor, ...],
    state: TrainState,
    device: torch.device,
) -> dict[str, Tensor]:
    if device.type != "cpu":
        batch = tuple(tensor.to(device, non_blocking=True) for tensor in batch)
    with autocast(device):
        losses = loss_function(model, *batch, state.generator)
    model.zero_grad()
    losses["total"].backward()
    for optimiser in state.optimisers:
        optimiser.step()
    if state.ema is not None:
        state.ema.update(model)
    return {name: value.detach() for name, value in losses.items()}
