"""Small models with known answers, built on the student's side and passed as an argument.

A check names a stub and gives its numbers; the carrier builds the model where the student's code
runs. This file needs nothing but torch, so that a carrier can take it anywhere.
"""

from torch import Tensor, nn


class Stub:
    """A model by name with its weights: `Stub("linear_eps", A=torch.eye(3))`."""

    def __init__(self, name: str, **weights: Tensor) -> None:
        self.name = name
        self.weights = weights

    def build(self) -> nn.Module:
        """A new model with copies of the weights as its parameters."""
        return MODELS[self.name](**self.weights)


class Model(nn.Module):
    """Holds weights as parameters; asked like the course's own networks: `model(x_t, t)`."""

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

    def predict(self, x_t: Tensor, t: Tensor) -> Tensor:
        return x_t @ self.A.T + t[:, None] * self.slope + self.bias


class GaussianEps(Model):
    """The best possible model of data from N(mean, std^2), for any shape of x_t."""

    def predict(self, x_t: Tensor, t: Tensor) -> Tensor:
        abar = self.abar[t].view(-1, *[1] * (x_t.ndim - 1))
        variance = abar * self.std**2 + 1 - abar
        return (1 - abar).sqrt() * (x_t - abar.sqrt() * self.mean) / variance


MODELS = {"linear_eps": LinearEps, "gaussian_eps": GaussianEps}
