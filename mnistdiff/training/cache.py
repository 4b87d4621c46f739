"""Train once: a finished run is found again under a hash of all that it depends on."""

import hashlib
import inspect
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from mnistdiff.data import cache_folder
from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import append_dims
from mnistdiff.runtime import autocast, under_grading
from mnistdiff.schedules import NoiseSchedule
from mnistdiff.storage import alone, load_into, read_weights, save_weights
from mnistdiff.training.loop import LossFunction, TrainStep, look_once, train
from mnistdiff.training.muon import Muon
from mnistdiff.training.state import TrainConfig, TrainState


class Fit(NamedTuple):
    """A finished run: mean losses per epoch, seconds of training, and the file of its weights."""

    history: list[dict[str, float]]
    seconds: float
    path: Path


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
        look = look_once(model, loss_function, data, config)
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
    ours = (train, TrainState, autocast, append_dims, NoiseSchedule, Muon)
    for part in (type(model), loss_function, *ours):
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
