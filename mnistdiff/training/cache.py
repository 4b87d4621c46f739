"""Train once: a finished run is stored under a hash of everything that it depends on."""

import hashlib
import inspect
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from mnistdiff.data import cache_folder
from mnistdiff.errors import MnistdiffError
from mnistdiff.runtime import under_grading
from mnistdiff.storage import AGAIN, exclusive_lock, load_into, read_weights, save_weights
from mnistdiff.training.loop import LossFunction, TrainStep, train
from mnistdiff.training.state import TrainConfig

PACKAGE = Path(__file__).parents[1]
# the package's files that the weights depend on, besides those of the model's classes
CODE = (
    *("clip", "data", "latent", "layers", "prompts", "runtime", "schedules", "storage", "vae"),
    *("training/loop", "training/muon", "training/objectives", "training/state"),
)


class Fit(NamedTuple):
    """A finished run: mean losses per epoch, seconds of training, and the file of its weights."""

    history: list[dict[str, float]]
    seconds: float
    path: Path


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that the weights of a training run depend on, and where the cache keeps them."""

    name: str
    model: nn.Module  # before training
    loss_function: LossFunction
    data: tuple[Tensor, ...]
    config: TrainConfig
    settings: dict[str, Any]

    @cached_property  # computed before training changes the model
    def key(self) -> str:
        """Hash of the settings, the data, the initial weights and the code."""
        digest = hashlib.sha256(json.dumps(self._described(), sort_keys=True).encode())
        for part in (*_classes_in(self.model), self.loss_function):
            digest.update(_code_of(part))
        for file in CODE:
            digest.update((PACKAGE / f"{file}.py").read_bytes())
        for tensor in (*self.model.state_dict().values(), *self.data):
            digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]

    @property
    def path(self) -> Path:
        """The file of the finished run's weights."""
        return cache_folder() / "runs" / f"{self.name}-{self.key}.safetensors"

    def _described(self) -> dict[str, Any]:
        config = getattr(self.model, "config", None)
        if is_dataclass(config) and not isinstance(config, type):
            model = asdict(config)
        else:
            model = repr(self.model)
        return {
            "name": self.name,
            "settings": self.settings,
            "train": asdict(self.config),
            "model": model,
            "loss": _state_of(self.loss_function),
        }


def fit_or_load(
    name: str,
    model: nn.Module,
    loss_function: LossFunction,
    data: tuple[Tensor, ...],
    config: TrainConfig,
    *,
    settings: dict[str, Any],
) -> Fit:
    """Train `model` in place, or load the weights that an identical run left in the cache.

    The cache key hashes `settings` (whatever else the loss depends on), the training and model
    configuration, the data and the code of model, loss and training. An interrupted run continues
    from its checkpoint; if another process is training the same run, this one waits for it. Under
    grading the model stays untrained and nothing is written. Raises MnistdiffError if the cache
    cannot be written or a file is corrupt.
    """
    if under_grading():
        return Fit(_epoch_means(train(model, loss_function, data, config)), 0.0, Path())
    run = Run(name, model, loss_function, data, config, settings)
    path = run.path
    if not path.exists():
        with exclusive_lock(path):
            if not path.exists():  # another process may have finished it meanwhile
                return _fit(run)
    tensors, meta = read_weights(path, remedy=AGAIN)
    load_into(model, tensors, path)
    if not {"history", "seconds"} <= meta.keys():
        raise MnistdiffError(
            f"{path} does not say how it was trained: 'history' or 'seconds' is missing from its "
            "metadata. Delete it and train again."
        )
    return Fit(meta["history"], meta["seconds"], path)


def _fit(run: Run) -> Fit:
    checkpoint = run.path.with_suffix(".checkpoint")
    what = (run.model, run.loss_function, run.data, run.config)
    steps = train(*what, checkpoint=checkpoint, run_key=run.key)
    history = _epoch_means(_with_progress(steps, run.name, run.config))
    if checkpoint.exists():  # it also has the epochs before an interruption
        history = read_weights(checkpoint, remedy=AGAIN)[1]["history"]
    seconds = history[-1]["elapsed"]
    settings = {"settings": run.settings, "train": asdict(run.config)}
    meta = {"history": history, "seconds": seconds, **settings}
    save_weights(run.path, run.model.state_dict(), meta)
    checkpoint.unlink(missing_ok=True)
    return Fit(history, seconds, run.path)


def _epoch_means(steps: Iterator[TrainStep]) -> list[dict[str, float]]:
    return [step.epoch_means for step in steps if step.epoch_means is not None]


def _classes_in(model: nn.Module) -> list[type[nn.Module]]:
    """Return the classes of the model and of its parts, torch's own left out, in a fixed order."""
    classes = {type(part) for part in model.modules()}
    own = (each for each in classes if each.__module__.partition(".")[0] != "torch")
    return sorted(own, key=lambda each: (each.__module__, each.__qualname__))


def _state_of(part: Any) -> Any:
    """Return what a loss was built with: numbers and strings unchanged, tensors as digests."""
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
    """Return the file that defines a class, function or callable object; in a notebook, its source.

    Raises MnistdiffError if no source is kept, as at Python's prompt.
    """
    if isinstance(part, partial):
        return _code_of(part.func)
    file = getattr(sys.modules[part.__module__], "__file__", None)
    if file:
        return Path(file).read_bytes()
    defined = part if hasattr(part, "__name__") else type(part)
    try:
        return inspect.getsource(defined).encode()
    except (OSError, TypeError) as error:
        raise MnistdiffError(
            f"the source of {defined.__name__} cannot be found, but the cache key depends on it. "
            "Define it in a file or a notebook, or use `train`, which does not use the cache."
        ) from error


def _with_progress(
    steps: Iterator[TrainStep], name: str, config: TrainConfig
) -> Iterator[TrainStep]:
    from tqdm.auto import tqdm  # imports ipywidgets in a notebook: only when needed

    quiet = any(os.environ.get(flag) for flag in ("CI", "NBGRADER_EXECUTION"))
    with tqdm(total=config.epochs, desc=name, unit="epoch", disable=quiet or None) as bar:
        for step in steps:
            if step.epoch_means is not None:
                bar.n = step.epoch
                bar.set_postfix({k: f"{v:.2f}" for k, v in step.losses.items()})
            yield step
