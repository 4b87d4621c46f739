"""The settings of a training run, and its state, which a checkpoint saves."""

from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import torch
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.runtime import check_seed
from mnistdiff.storage import AGAIN, load_into, read_weights, save_weights, with_prefix
from mnistdiff.training.muon import Muon, split_parameters


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run; the model, the loss and the data are given separately."""

    epochs: int
    batch_size: int = 128
    learning_rate: float = 2e-4
    seed: int = 0  # batch order and noise; seed the model's weights before building it
    ema_decay: float | None = None  # None: no moving average of the weights
    cosine_decay: bool = False  # of the learning rate, to 0 at the last step
    optimiser: str = "adam"  # or "muon": for the hidden matrices, with Adam for the rest

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise MnistdiffError(f"{name} is {value!r}; it must be a whole number >= 1.")
        rate, decay = self.learning_rate, self.ema_decay
        if not isinstance(rate, Real) or not 0 < rate < float("inf"):
            raise MnistdiffError(f"learning_rate is {rate!r}; it must be a number above 0.")
        if decay is not None and (not isinstance(decay, Real) or not 0 <= decay < 1):
            raise MnistdiffError(f"ema_decay is {decay!r}; it must be a number in [0, 1).")
        if self.optimiser not in ("adam", "muon"):
            raise MnistdiffError(f"optimiser is {self.optimiser!r}; it must be 'adam' or 'muon'.")
        check_seed(self.seed)


class EMA:
    """Exponential moving average of a model's floating-point tensors.

    The first steps use the smaller decay (1 + n) / (10 + n), which forgets the random start
    quickly.
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


class TrainState:
    """Everything that a checkpoint saves, so that a killed run continues bit for bit."""

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
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.history: list[dict[str, float]] = []

    def set_learning_rate(self, share: float) -> None:
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = share * self.learning_rate

    def finish_epoch(self, means: dict[str, float], seconds: float) -> dict[str, float]:
        """Count the epoch, and return its entry in the history."""
        self.epoch += 1
        self.seconds += seconds
        self.history.append({"epoch": self.epoch, "elapsed": self.seconds, **means})
        return self.history[-1]

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
        tensors, meta = read_weights(path, remedy=AGAIN)
        if meta.get("run") != run_key or "generator" not in tensors:
            raise MnistdiffError(
                f"{path} is not a checkpoint of this run (it names {meta.get('run')!r}, this run "
                f"is {run_key!r}). Delete it or choose another file."
            )
        load_into(self.model, with_prefix("model.", tensors), path)
        for which, optimiser in enumerate(self.optimisers):
            entries: dict[int, dict[str, Tensor]] = {}
            for name, value in with_prefix(f"optimiser.{which}.", tensors).items():
                index, field = name.split(".")
                entries.setdefault(int(index), {})[field] = value
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": entries, "param_groups": groups})
        if self.ema is not None:
            self.ema.updates = meta["ema_updates"]
            for name, value in with_prefix("ema.", tensors).items():
                self.ema.shadow[name].copy_(value)
        self.generator.set_state(tensors["generator"])
        self.epoch, self.step, self.seconds = meta["epoch"], meta["step"], meta["seconds"]
        self.history = meta["history"]
