"""Training as a generator: the caller owns plots and prints; a killed run resumes bit for bit."""

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

# (model, *batch, generator) -> losses by name; "total" is the one that is minimised.
LossFunction = Callable[..., dict[str, Tensor]]


class TrainStep(NamedTuple):
    """What `train` yields after each optimiser step; `epoch_means` only at an epoch's end."""

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
    """Train in place, yielding a TrainStep per batch.

    `loss_function(model, *batch, generator)` returns a dict of scalars with "total". With
    `checkpoint`, the whole state (weights, optimiser, average, random generator, means) is
    saved at each epoch's end, and a later call with the same `run_key` continues from there to
    bit-identical weights. With `ema_decay` the model holds the averaged weights at the end.
    Under grading nothing is trained: the losses of one batch are all that it yields. Raises
    MnistdiffError without images, for the checkpoint of another run, and when the loss is no
    number any more.
    """
    if not data or not len(data[0]):
        raise MnistdiffError("there are 0 images to train on.")
    if under_grading():
        yield look_once(model, loss_function, data, config)
        return
    reuse_memory()
    state = TrainState(model, config)
    if checkpoint is not None and checkpoint.exists():
        state.restore(checkpoint, run_key)
    device = next(model.parameters()).device
    steps_per_epoch = math.ceil(len(data[0]) / config.batch_size)
    while state.epoch < config.epochs:
        started, sums = time.perf_counter(), {}
        model.train()
        for batch in batches(*data, batch_size=config.batch_size, generator=state.generator):
            if config.cosine_decay:
                state.set_learning_rate(_cosine(state.step / (config.epochs * steps_per_epoch)))
            losses = _step(model, loss_function, batch, state, device)
            state.step += 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch[0])
            last = state.seen(len(batch[0])) == len(data[0])
            if last:
                means = {name: float(value) / len(data[0]) for name, value in sums.items()}
                if not math.isfinite(means["total"]):
                    raise MnistdiffError(
                        f"the loss is {means['total']} in epoch {state.epoch + 1}: the training "
                        f"has diverged. Lower learning_rate ({config.learning_rate:g}) or the "
                        "weights of the loss's terms."
                    )
                state.finish_epoch(means, time.perf_counter() - started)
                if checkpoint is not None:
                    state.save(checkpoint, run_key)
            yield TrainStep(state.step, state.epoch, losses, state.history[-1] if last else None)
    if state.ema is not None:
        load_into(model, state.ema.shadow, "the moving average")


def look_once(
    model: nn.Module, loss_function: LossFunction, data: tuple[Tensor, ...], config: TrainConfig
) -> TrainStep:
    generator = torch.Generator().manual_seed(config.seed)
    batch = next(batches(*data, batch_size=config.batch_size, generator=generator))
    losses = {k: v.detach() for k, v in loss_function(model, *batch, generator).items()}
    means = {name: float(value) for name, value in losses.items()}
    return TrainStep(1, 1, losses, {"epoch": 1, "elapsed": 0.0, **means})


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
