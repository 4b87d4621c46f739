"""Training as a generator: the caller owns plots and prints; a killed run resumes bit for bit."""

import hashlib
import inspect
import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mnistdiff.data import batches, cache_folder
from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import append_dims
from mnistdiff.muon import Muon, split_parameters
from mnistdiff.runtime import reuse_memory
from mnistdiff.schedules import NoiseSchedule
from mnistdiff.storage import alone, load_into, read_weights, save_weights, under

# (model, *batch, generator) -> losses by name; "total" is the one that is minimised.
LossFunction = Callable[..., dict[str, Tensor]]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run depends on, besides the model and the data."""

    epochs: int
    batch_size: int = 128
    learning_rate: float = 2e-4
    seed: int = 0  # batch order and noise; seed the model's weights before building it
    ema_decay: float | None = None  # None: no moving average of the weights
    cosine_decay: bool = False  # of the learning rate, to 0 at the last step
    optimiser: str = "adam"  # or "muon": for the hidden matrices, with Adam for the rest

    def __post_init__(self) -> None:
        for name, minimum in (("epochs", 1), ("batch_size", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < minimum:
                raise MnistdiffError(f"{name} is {value!r}; it must be a whole number >= 1.")
        if not 0 < self.learning_rate < float("inf"):
            raise MnistdiffError(f"learning_rate is {self.learning_rate}; it must be above 0.")
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise MnistdiffError(f"ema_decay is {self.ema_decay}; it must be in [0, 1).")
        if self.optimiser not in ("adam", "muon"):
            raise MnistdiffError(f"optimiser is {self.optimiser!r}; it must be adam or muon.")
        check_seed(self.seed)


class TrainStep(NamedTuple):
    """What `train` yields after each optimiser step; `epoch_means` only at an epoch's end."""

    step: int
    epoch: int
    losses: dict[str, Tensor]
    epoch_means: dict[str, float] | None


class Fit(NamedTuple):
    """A finished run: mean losses per epoch, seconds of training, and the file of its weights."""

    history: list[dict[str, float]]
    seconds: float
    path: Path


class EMA:
    """Exponential moving average of a model's floating-point tensors.

    The first steps use the smaller decay (1 + n) / (10 + n), so that the random start is
    forgotten quickly.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.shadow = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average one step towards the model."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.shadow[name].lerp_(value, 1 - decay)
            else:
                self.shadow[name].copy_(value)


def check_seed(seed: int) -> None:
    """Raise MnistdiffError for a seed outside 0 ... 2^32 - 1, NumPy's limits."""
    if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
        raise MnistdiffError(f"seed is {seed!r}; it must be a whole number from 0 to {2**32 - 1}.")


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch, and return a fresh CPU generator with the same seed.

    Raises as `check_seed`.
    """
    check_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def default_device() -> torch.device:
    """CUDA or MPS where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 where the hardware multiplies it natively (CUDA, AVX512-BF16); else nothing."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    if device.type == "cuda" or (device.type == "cpu" and native()):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


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
        yield _look_once(model, loss_function, data, config)
        return
    reuse_memory()
    state = _TrainState(model, config)
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


def under_grading() -> bool:
    """Whether nbgrader, or a grader like it, runs this kernel: then no seconds are spent."""
    return bool(os.environ.get("NBGRADER_EXECUTION"))


def _look_once(
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
    state: "_TrainState",
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


class _TrainState:
    """All that must survive a kill."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.model, self.learning_rate = model, config.learning_rate
        self.optimisers: list[torch.optim.Optimizer] = []
        rest = list(model.parameters())
        if config.optimiser == "muon":
            hidden, rest = split_parameters(model)
            self.optimisers.append(Muon(hidden, config.learning_rate))
        # fused: one kernel for all tensors, three times faster than the default on a CPU
        self.optimisers.append(torch.optim.Adam(rest, config.learning_rate, fused=True))
        self.ema = None if config.ema_decay is None else EMA(model, config.ema_decay)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.epoch, self.step, self.images, self.seconds = 0, 0, 0, 0.0
        self.history: list[dict[str, float]] = []

    def set_learning_rate(self, share: float) -> None:
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = share * self.learning_rate

    def seen(self, images: int) -> int:
        self.images += images
        return self.images

    def finish_epoch(self, means: dict[str, float], seconds: float) -> None:
        self.epoch, self.images = self.epoch + 1, 0
        self.seconds += seconds
        self.history.append({"epoch": self.epoch, "elapsed": self.seconds, **means})

    def save(self, path: Path, run_key: str) -> None:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for which, optimiser in enumerate(self.optimisers):
            for index, entry in optimiser.state_dict()["state"].items():
                prefix = f"optimiser.{which}.{index}."
                tensors |= {prefix + name: value for name, value in entry.items()}
        if self.ema is not None:
            tensors |= {f"ema.{name}": value for name, value in self.ema.shadow.items()}
        tensors["generator"] = self.generator.get_state()
        counters = {"epoch": self.epoch, "step": self.step, "seconds": self.seconds}
        counters["ema_updates"] = self.ema.updates if self.ema else 0
        save_weights(path, tensors, {"run": run_key, "history": self.history, **counters})

    def restore(self, path: Path, run_key: str) -> None:
        tensors, meta = read_weights(path)
        if meta.get("run") != run_key or "generator" not in tensors:
            raise MnistdiffError(
                f"{path} is no checkpoint of this run (it says {meta.get('run')!r}, this run is "
                f"{run_key!r}). Delete it or choose another file."
            )
        load_into(self.model, under("model.", tensors), path)
        for which, optimiser in enumerate(self.optimisers):
            entries: dict[int, dict[str, Tensor]] = {}
            for name, value in under(f"optimiser.{which}.", tensors).items():
                index, field = name.split(".")
                entries.setdefault(int(index), {})[field] = value
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": entries, "param_groups": groups})
        if self.ema is not None:
            self.ema.updates = meta["ema_updates"]
            for name, value in under("ema.", tensors).items():
                self.ema.shadow[name].copy_(value)
        self.generator.set_state(tensors["generator"])
        self.epoch, self.step, self.seconds = meta["epoch"], meta["step"], meta["seconds"]
        self.history = meta["history"]


def fit_or_load(
    name: str,
    model: nn.Module,
    loss_function: LossFunction,
    data: tuple[Tensor, ...],
    config: TrainConfig,
    *,
    settings: dict[str, Any],
) -> Fit:
    """Train `model` in place, or load the weights that the very same run left in the cache.

    The cache key hashes `settings` (whatever else the loss depends on), the training and model
    configuration, the data and the code of model, loss and training. An interrupted run goes
    on from its checkpoint; a process that wants a run that another is training waits for it. Under
    grading the model stays untrained and nothing is written. Raises MnistdiffError for an
    unwritable cache or a corrupt file.
    """
    if under_grading():
        look = _look_once(model, loss_function, data, config)
        return Fit([look.epoch_means], 0.0, Path())
    key = _run_key(name, model, loss_function, data, config, settings)
    path = cache_folder() / "runs" / f"{name}-{key}.safetensors"
    if not path.exists():
        with alone(path):
            if not path.exists():  # else another process has made it while this one waited
                return _fit(name, model, loss_function, data, config, settings, path)
    tensors, meta = read_weights(path)
    load_into(model, tensors, path)
    if not {"history", "seconds"} <= meta.keys():
        raise MnistdiffError(f"{path} does not tell how it was trained. Delete it and train again.")
    return Fit(meta["history"], meta["seconds"], path)


def _fit(
    name: str,
    model: nn.Module,
    loss_function: LossFunction,
    data: tuple[Tensor, ...],
    config: TrainConfig,
    settings: dict[str, Any],
    path: Path,
) -> Fit:
    key = path.stem.removeprefix(f"{name}-")
    checkpoint = path.with_suffix(".checkpoint")
    history: list[dict[str, float]] = []
    for step in _with_progress(
        train(model, loss_function, data, config, checkpoint=checkpoint, run_key=key), name, config
    ):
        if step.epoch_means is not None:
            history.append(step.epoch_means)
    if checkpoint.exists():  # also brings back the epochs before an interruption
        history = read_weights(checkpoint)[1]["history"]
    seconds = history[-1]["elapsed"]
    meta = {"history": history, "seconds": seconds, "settings": settings, "train": asdict(config)}
    save_weights(path, model.state_dict(), meta)
    checkpoint.unlink(missing_ok=True)
    return Fit(history, seconds, path)


def _run_key(
    name: str,
    model: nn.Module,
    loss_function: LossFunction,
    data: tuple[Tensor, ...],
    config: TrainConfig,
    settings: dict[str, Any],
) -> str:
    architecture = getattr(model, "config", None)
    described = {
        "name": name,
        "settings": settings,
        "train": asdict(config),
        "model": asdict(architecture) if is_dataclass(architecture) else repr(model),
        "loss": _state_of(loss_function),
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for part in (type(model), loss_function, train, append_dims, NoiseSchedule, Muon):
        digest.update(_code_of(part))
    for tensor in (*model.state_dict().values(), *data):
        digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:16]


def _state_of(part: Any) -> Any:
    """What a loss object was built with: numbers and words as they are, tensors as digests."""
    if isinstance(part, Tensor):
        return hashlib.sha256(part.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
    if isinstance(part, (str, int, float, type(None))):
        return part
    if isinstance(part, (list, tuple)):
        return [_state_of(value) for value in part]
    if isinstance(part, dict):
        return {str(name): _state_of(value) for name, value in part.items()}
    if isinstance(part, partial):
        return [_state_of(given) for given in (part.func, part.args, part.keywords)]
    return {name: _state_of(value) for name, value in getattr(part, "__dict__", {}).items()}


def _code_of(part: Any) -> bytes:
    """The file that defines a class, function or callable object; in a notebook, its source.

    Raises MnistdiffError for what was typed where no source is kept.
    """
    if isinstance(part, partial):
        return _code_of(part.func)
    module = sys.modules[part.__module__]
    if getattr(module, "__file__", None):
        return Path(module.__file__).read_bytes()
    defined = part if hasattr(part, "__name__") else type(part)
    try:
        return inspect.getsource(defined).encode()
    except (OSError, TypeError) as error:
        raise MnistdiffError(
            f"the source of {defined.__name__} cannot be found, and the cache must know it. Define "
            "it in a file or a notebook, or use `train`, which keeps nothing."
        ) from error


def _with_progress(
    steps: Iterator[TrainStep], name: str, config: TrainConfig
) -> Iterator[TrainStep]:
    from tqdm.auto import tqdm  # pulls in ipywidgets where a notebook runs

    quiet = any(os.environ.get(flag) for flag in ("CI", "NBGRADER_EXECUTION"))
    with tqdm(total=config.epochs, desc=name, unit="epoch", disable=quiet or None) as bar:
        for step in steps:
            if step.epoch_means is not None:
                bar.n = step.epoch
                bar.set_postfix({k: f"{v:.2f}" for k, v in step.losses.items()})
            yield step
