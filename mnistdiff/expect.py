"""What the notebooks' visible tests say when an answer differs from the expected numbers."""

import torch
from torch import Tensor

AXES = "Which axes do you sum or average over?"


def expect(
    name: str, found: object, expected: list | float, causes: dict, about_shape: str = AXES
) -> None:
    """Compare an answer with the expected numbers; if they differ, say both and a likely cause.

    `causes` maps a sentence to the numbers that this mistake gives; `about_shape` is what to
    ask about a wrong shape. Raises AssertionError.
    """
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    kind = type(found).__name__
    assert isinstance(found, Tensor), f"{name} is {kind}, expected a tensor. Is there a `return`?"
    shape = f"{name} has shape {tuple(found.shape)}, expected {tuple(wanted.shape)}."
    assert found.shape == wanted.shape, f"{shape} {about_shape}"
    values = found.detach().double()
    close = {why: values.allclose(values.new_tensor(x), atol=1e-3) for why, x in causes.items()}
    why = next((why for why in close if close[why]), "compare it with the equation, term by term")
    shown = f"{name} is {values.numpy().round(4).tolist()}, expected {expected}"
    assert values.allclose(wanted, atol=1e-3), f"{shown}. Likely cause: {why}."
