"""Arguments that a check describes and that are built on the student's side.

A stub is a small model with known answers, `Settings` a configuration of the library, and `Filled`
weights for a student's class. This file needs only torch (and the library, for settings).
"""

import dataclasses
import importlib
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy


class Stub:
    """The name of a model and its weights: `Stub("linear_eps", A=torch.eye(3))`."""

    def __init__(self, name: str, **weights: Tensor) -> None:
        self.name = name
        self.weights = weights

    def build(self) -> nn.Module:
        """Return a new model with copies of the weights as its parameters."""
        return MODELS[self.name](**self.weights)


class Settings:
    """A configuration of the library: `Settings("mnistdiff.vae:VAEConfig", latent_dim=2)`."""

    def __init__(self, path: str, **values: Any) -> None:
        self.path = path
        self.values = values

    def build(self) -> object:
        """Return the configuration."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)(**self.values)


@dataclasses.dataclass(frozen=True)
class Filled:
    """Random non-zero weights, by seed, for all parameters of a model.

    `given` sets parameters or parts by name, to a tensor or to one number.
    """

    seed: int
    given: dict[str, Tensor | float] = dataclasses.field(default_factory=dict)

    @torch.no_grad()
    def fill(self, model: nn.Module) -> None:
        """Overwrite the parameters of `model`; matrices are scaled by their number of inputs."""
        generator = torch.Generator().manual_seed(self.seed)
        for parameter in model.parameters():
            if is_lazy(parameter):  # torch draws it in the first call
                continue
            sign = torch.rand(parameter.shape, generator=generator).round() * 2 - 1
            size = torch.rand(parameter.shape, generator=generator) + 0.5
            inputs = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.copy_(sign * size / math.sqrt(inputs))
        for name, value in self.given.items():
            for parameter in part(model, name):
                parameter.copy_(torch.as_tensor(value))


def part(model: nn.Module, name: str) -> list[nn.Parameter]:
    """Return the parameter of this name, or all parameters of the part of this name."""
    found = [p for key, p in model.named_parameters() if f"{key}.".startswith(f"{name}.")]
    if not found:
        raise AttributeError(
            f"there is no parameter in `{name}`: leave the given parts as they are"
        )
    return found


class Model(nn.Module):
    """A model with given parameters, called like the course's networks: `model(x_t, t)`."""

    def __init__(self, **weights: Tensor) -> None:
        super().__init__()
        for name, value in weights.items():
            self.register_parameter(name, nn.Parameter(value.detach().clone()))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        if not isinstance(x_t, Tensor) or not x_t.is_floating_point() or x_t.ndim < 2:
            raise ValueError("the model is called as model(z_t, t): the noisy latents come first")
        if not isinstance(t, Tensor) or t.shape != x_t.shape[:1]:
            shape = tuple(getattr(t, "shape", ()))
            raise ValueError(f"the model takes one t per row, shape ({len(x_t)},), got {shape}")
        return self.predict(x_t, t)

    def predict(self, x_t: Tensor, t: Tensor) -> Tensor:
        raise NotImplementedError


class LinearEps(Model):
    """eps = x_t A^T + slope t + bias, for A (D, D), slope (D,), bias (D,) or (B, D)."""

    A: Tensor
    slope: Tensor
    bias: Tensor

    def predict(self, x_t: Tensor, t: Tensor) -> Tensor:
        return x_t @ self.A.T + t[:, None] * self.slope + self.bias


class GaussianEps(Model):
    """The best possible model of data from N(mean, std^2), for any shape of x_t."""

    abar: Tensor
    mean: Tensor
    std: Tensor

    def predict(self, x_t: Tensor, t: Tensor) -> Tensor:
        abar = self.abar[t].view(-1, *[1] * (x_t.ndim - 1))
        variance = abar * self.std**2 + 1 - abar
        return (1 - abar).sqrt() * (x_t - abar.sqrt() * self.mean) / variance


MODELS = {"linear_eps": LinearEps, "gaussian_eps": GaussianEps}
