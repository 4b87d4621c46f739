"""Muon: an optimiser that orthogonalises the update of each weight matrix."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # brings small singular values near 1 fastest


class Muon(torch.optim.Optimizer):
    """Momentum, replaced by the nearest orthogonal matrix (Jordan et al., 2024).

    For weights of two axes or more (convolutions as (out, in * height * width)). The updates are
    scaled as in Liu et al. (2025, section 2.2), so that Adam's learning rates fit. PyTorch's own
    Muon accepts only matrices and multiplies in bfloat16, which most processors lack.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state, beta = self.state[weight], group["momentum"]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - beta)
                nesterov = weight.grad.lerp(state["momentum"], beta).flatten(1)
                update = orthogonalise(nesterov)
                scale = 0.2 * math.sqrt(max(update.shape))
                weight.sub_(update.reshape(weight.shape), alpha=group["lr"] * scale)


def orthogonalise(matrix: Float[Tensor, "m n"]) -> Float[Tensor, "m n"]:
    """Return about U V^T of matrix = U S V^T by five Newton-Schulz steps (Jordan et al., 2024)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    return x.T if tall else x


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the hidden matrices, for Muon, and the rest (vectors, stem and head), for Adam."""
    hidden, rest = [], []
    for name, weight in model.named_parameters():
        is_hidden = weight.ndim >= 2 and not name.startswith(("stem", "head"))
        (hidden if is_hidden else rest).append(weight)
    return hidden, rest
