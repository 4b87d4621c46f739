"""Do the sentences of the visible tests come, and are they true?"""

import math

import pytest
import torch
from torch import Tensor

from mnistdiff.course.expect import expect, explained, on_graph, require_gradients

TWO, MASK = torch.ones(2), torch.tensor([True, False])


def overwritten() -> None:
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    square = y * y
    y += 1
    square.sum().backward()


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda: math.sqrt(TWO), "a function for one number"),
        (lambda: TWO.item(), "a function for one number"),
        (lambda: TWO and True, "need one truth value"),
        (lambda: TWO(0), "indexed with"),
        (lambda: torch.ones(3, 2) @ torch.ones(3, 2), "a @ b.T"),
        (lambda: torch.ones(3, 2) / torch.ones(3), "keepdim=True"),
        (lambda: MASK.mean(), "use .float()"),
        (lambda: 1 - MASK, "~mask inverts"),
        (lambda: TWO[torch.ones(1)], "used as an index"),
        (lambda: TWO[2], "counted from 0"),
        (lambda: torch.nn.functional.cross_entropy(torch.ones(2, 2), TWO), "whole numbers"),
        (lambda: torch.nn.Parameter(TWO).add_(1), "change a learned parameter"),
        (lambda: torch.nn.Linear(2, 2)(torch.ones(1, 2).long()), "through its time embedding"),
        (lambda: (0.5).sqrt(), "no tensor methods"),
        (overwritten, "in place"),
    ],
)
def test_an_error_of_torch_gets_its_sentence(mistake, sentence):
    with pytest.raises(AssertionError, match=sentence.replace("[", r"\[")) as found:
        explained(mistake)
    assert found.value.__cause__ is not None, "the error itself stays in sight"


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda graph: graph[["8", 0]], "its first part"),
        (lambda graph: [node["inputs"] for node in graph], "graph.values"),
        (lambda graph: graph["8"]["inputs"]["seed"][0], "isinstance"),
        (lambda graph: graph["9"], "not in the graph"),
        (lambda graph: max(graph) + 1, "ids are text"),
    ],
)
def test_an_error_on_a_graph_gets_its_sentence(mistake, sentence):
    with pytest.raises(AssertionError, match=sentence):
        on_graph(mistake, {"8": {"class_type": "KSampler", "inputs": {"seed": 7}}})


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([-1.0, -2.0, -3.0, -4.0], "The sign is wrong"),
        ([2.0, 4.0, 6.0, 8.0], "This is 2 times the expected result"),
        ([1.5, 2.0, 3.0, 3.0], r"clipped to \[1.5, 3\]"),
        ([2.0, 1.0, 3.0, 4.0], "in another order"),
        ([1.0, 2.0, 3.0, 9.0], "3 of 4 numbers are right"),
        ([1.0, 2.0, math.nan, 4.0], "contains NaN or infinity"),
    ],
)
def test_wrong_numbers_without_a_known_cause_are_described_and_the_rule_is_said(found, sentence):
    with pytest.raises(AssertionError, match=sentence) as error:
        expect("x", torch.tensor(found), [1.0, 2.0, 3.0, 4.0], {}, rule="the rule")
    assert "The rule." in str(error.value) or "NaN" in sentence


def test_a_cause_is_named_only_for_its_own_number():
    with pytest.raises(AssertionError, match="Likely cause: this"):
        expect("x", torch.tensor(0.0004), 0.335, {"this": 0.0004})
    with pytest.raises(AssertionError, match="Compare it"):
        expect("x", torch.tensor(0.0009), 0.335, {"this": 0.0004})


def test_a_gradient_of_zero_or_nan_is_not_called_cut():
    def gradient_of(function) -> None:
        x = torch.zeros(2, requires_grad=True)
        require_gradients(function(x), x=x)

    with pytest.raises(AssertionError, match="the gradient for x is 0"):
        gradient_of(lambda x: x.clamp(min=1))
    with pytest.raises(AssertionError, match="contains NaN"):
        gradient_of(lambda x: x.norm(dim=0) / x.norm(dim=0))
    with pytest.raises(AssertionError, match="no gradient reaches x"):
        gradient_of(Tensor.detach)
