"""What the notebooks' visible tests say when an answer differs from the expected numbers."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

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


def on_copies(function: Callable, *given: object) -> object:
    """What the function gives for copies of these arguments: work in place harms no other test."""
    return function(*(value.clone() if isinstance(value, Tensor) else value for value in given))


Graph = dict[str, dict[str, Any]]


def expect_graph(name: str, found: object, expected: Graph, causes: dict[str, Graph]) -> None:
    """Compare a ComfyUI graph with the expected one, whatever ids its nodes have.

    `causes` maps a sentence to the graph that this mistake gives. Raises AssertionError, with a
    likely cause or the first difference.
    """
    graph = _as_graph(name, found)
    ours = _colours(graph)
    if ours == _colours(expected):
        return
    why = next((why for why, wrong in causes.items() if ours == _colours(wrong)), None)
    told = f"Likely cause: {why}." if why else _difference(graph, expected)
    raise AssertionError(f"{name} is another graph than expected. {told}")


def _as_graph(name: str, found: object) -> Graph:
    kind = type(found).__name__
    assert isinstance(found, dict), f"{name} is {kind}, expected a dictionary. Is there a `return`?"
    try:
        graph = json.loads(json.dumps(found))
    except TypeError as error:
        raise AssertionError(f"{name} cannot be written as JSON ({error}).") from error
    for key, node in graph.items():
        is_node = isinstance(node, dict) and isinstance(node.get("class_type"), str)
        is_node = is_node and isinstance(node.get("inputs"), dict)
        sentence = "is no node, it lacks a class_type or inputs. Return the whole graph"
        assert is_node, f"{name}: {key!r} {sentence}."
        for field, value in node["inputs"].items():
            _require_link(f"{name}, input {field} of {_place(graph, key)}", value, graph)
    return graph


def _require_link(where: str, value: object, graph: Graph) -> None:
    if isinstance(value, list):
        fine = len(value) == 2 and type(value[0]) is str and type(value[1]) is int
        assert fine, f"{where} is {value}; a link is a list [id, output], the id a text."
        assert value[0] in graph, f"{where} is linked to {value[0]!r}, which is not there."


def _place(graph: Graph, key: str) -> str:
    return f"node {key} ({graph[key]['class_type']})"


def _colours(graph: Graph) -> list[int]:
    """A number per node for its values and all that leads to it, sorted; ids do not enter it."""
    told = dict.fromkeys(graph, 0)

    def look(value: object) -> object:
        return (told[value[0]], value[1]) if isinstance(value, list) else value

    for _ in range(len(graph) + 1):
        told = {
            key: hash(
                (
                    node["class_type"],
                    *sorted((field, repr(look(value))) for field, value in node["inputs"].items()),
                )
            )
            for key, node in graph.items()
        }
    return sorted(told.values())


def _difference(graph: Graph, expected: Graph) -> str:
    """The first difference in words: a node too few or too many, else an input."""
    ours, wanted = (Counter(n["class_type"] for n in one.values()) for one in (graph, expected))
    if lost := wanted - ours:
        return f"It lacks a {min(lost)}: was it left out, or did a new node take its id?"
    if extra := ours - wanted:
        return f"It has a {min(extra)} too many."
    free = [key for key in graph if key not in expected]
    for key, node in expected.items():
        same = [k for k in free if graph[k]["class_type"] == node["class_type"]]
        own = key if key in graph else next(iter(same), "")
        if not own or graph[own]["class_type"] != node["class_type"]:
            continue
        for field in dict.fromkeys([*node["inputs"], *graph[own]["inputs"]]):
            shown, right = (_shown(g, g[k], field) for g, k in ((graph, own), (expected, key)))
            if shown != right:
                return f"Input {field} of {_place(graph, own)} is {shown}, expected {right}."
    return "Compare the links, node by node."


def _shown(graph: Graph, node: dict, field: str) -> str:
    if field not in node["inputs"]:
        return "missing"
    value = node["inputs"][field]
    if not isinstance(value, list):
        return repr(value)
    key = value[0] if graph[value[0]]["class_type"] != "LoraLoader" else "?"
    return f"output {value[1]} of {_place(graph, key) if key != '?' else 'a LoraLoader'}"
