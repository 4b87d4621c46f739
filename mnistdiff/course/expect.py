"""Comparisons for the notebooks' visible tests, with messages that name the likely mistake."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Numbers = list | float

AXES = "Which axes do you sum or average over?"
DRAWN = "two equal calls differ: use the arguments, and do not draw random numbers inside"
NOT_FINITE = (
    "Look for the square root of a negative number, the logarithm of 0 or less, a division by 0, "
    "or an exponential of a large number"
)
NO_NUMPY = "NumPy cuts the gradient, and so does .detach(): use torch operations throughout"


def expect(
    name: str,
    found: object,
    expected: Numbers,
    causes: Mapping[str, Numbers],
    about_shape: str = AXES,
) -> None:
    """Raise AssertionError unless an answer equals the expected numbers, to 0.001.

    The message shows both and names a likely cause: `causes` maps a sentence about a mistake to
    the numbers that it gives. `about_shape` ends the message about a wrong shape.
    """
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    found = require_tensor(name, found)
    shape = f"{name} has shape {tuple(found.shape)}, expected {tuple(wanted.shape)}."
    assert found.shape == wanted.shape, f"{shape} {about_shape}"
    values = found.detach().double()
    close = {why: values.allclose(values.new_tensor(x), atol=1e-3) for why, x in causes.items()}
    why = next((why for why in close if close[why]), "compare it with the equation, term by term")
    shown = f"{name} is {values.numpy().round(4).tolist()}, expected {expected}"
    assert values.allclose(wanted, atol=1e-3), f"{shown}. Likely cause: {why}."


def require_tensor(name: str, found: object) -> Tensor:
    """Return the answer; raise AssertionError unless it is a tensor of finite numbers."""
    assert found is not None, f"{name} is None, expected a tensor. Is there a `return`?"
    if not isinstance(found, Tensor):
        kind = type(found).__name__
        why = "; .item(), float() and NumPy leave torch" if hasattr(found, "__float__") else ""
        raise AssertionError(f"{name} is of type {kind}, expected a torch tensor{why}.")
    values = found.detach()
    finite = bool(values.isfinite().all())
    shown = f": {values.tolist()}" if values.numel() <= 12 else ""
    assert finite, f"{name} contains NaN or infinity{shown}. {NOT_FINITE}."
    return found


def on_copies(function: Callable, *given: object) -> object:
    """Call a function on copies of its tensors, so that in-place changes spoil no other test."""
    try:
        return function(*(value.clone() if isinstance(value, Tensor) else value for value in given))
    except RuntimeError as error:
        if "call numpy() on" not in str(error):  # its own advice, .detach(), is wrong in a loss
            raise
        raise AssertionError(f"{NO_NUMPY}.") from error


def repeated(name: str, function: Callable, *given: object) -> object:
    """Return the result of a call on copies; raise AssertionError if a second call differs."""
    found, again = (on_copies(function, *given) for _ in range(2))
    if isinstance(found, Tensor):
        require_tensor(name, found)
        assert isinstance(again, Tensor), f"{name}: {DRAWN}."
        assert found.equal(again), f"{name}: {DRAWN}."
    return found


Graph = dict[str, dict[str, Any]]
LINK = 'a link such as ["8", 0] is a list [id, output]: the key of the graph is its first part, link[0]'


def expect_graph(name: str, found: object, expected: Graph, causes: dict[str, Graph]) -> None:
    """Raise AssertionError unless a ComfyUI graph equals the expected one; node ids may differ.

    `causes` maps a sentence about a mistake to the graph that it gives. The message names the
    likely cause, or else the first difference.
    """
    graph = _as_graph(name, found)
    ours = _fingerprint(graph)
    if ours == _fingerprint(expected):
        return
    why = next((why for why, wrong in causes.items() if ours == _fingerprint(wrong)), None)
    reason = f"Likely cause: {why}." if why else _difference(graph, expected)
    raise AssertionError(f"{name} differs from the expected graph. {reason}")


def explain_link(error: TypeError) -> Exception:
    """Return the error of a function on graphs; explain it if a link was used as a key."""
    if "unhashable type: 'list'" not in str(error):
        return error
    return AssertionError(f'{LINK} ({error}).')


def _as_graph(name: str, found: object) -> Graph:
    """Return the answer as a graph, read back from JSON; raise AssertionError if it is not one."""
    kind = type(found).__name__
    assert isinstance(found, dict), f"{name} is {kind}, expected a dictionary. Is there a `return`?"
    try:
        graph = json.loads(json.dumps(found))
    except TypeError as error:
        raise AssertionError(f"{name} cannot be written as JSON ({error}).") from error
    for key, node in graph.items():
        is_node = isinstance(node, dict) and isinstance(node.get("class_type"), str)
        is_node = is_node and isinstance(node.get("inputs"), dict)
        remedy = "it lacks a class_type or inputs. Return the whole graph"
        assert is_node, f"{name}: {key!r} is not a node: {remedy}."
        for field, value in node["inputs"].items():
            _require_link(f"{name}, input {field} of {_described(graph, key)}", value, graph)
    return graph


def _require_link(where: str, value: object, graph: Graph) -> None:
    if isinstance(value, list):
        fine = len(value) == 2 and type(value[0]) is str and type(value[1]) is int
        assert fine, f"{where} is {value}; a link is a list [id, output], where the id is a string."
        assert value[0] in graph, f"{where} is linked to {value[0]!r}, which is not in the graph."


def _described(graph: Graph, key: str) -> str:
    return f"node {key} ({graph[key]['class_type']})"


def _fingerprint(graph: Graph) -> list[int]:
    """Return a sorted hash per node, of its values and all nodes before it, whatever their ids."""
    hashes = dict.fromkeys(graph, 0)

    def without_id(value: object) -> object:
        return (hashes[value[0]], value[1]) if isinstance(value, list) else value

    def node_hash(node: dict[str, Any]) -> int:
        inputs = sorted((field, repr(without_id(x))) for field, x in node["inputs"].items())
        return hash((node["class_type"], *inputs))

    for _ in range(len(graph) + 1):
        hashes = {key: node_hash(node) for key, node in graph.items()}
    return sorted(hashes.values())


def _difference(graph: Graph, expected: Graph) -> str:
    """Describe the first difference: a missing or an extra node, otherwise an input."""
    ours, wanted = (Counter(n["class_type"] for n in one.values()) for one in (graph, expected))
    if lost := wanted - ours:
        return f"It lacks a {min(lost)}: was it left out, or did a new node take its id?"
    if extra := ours - wanted:
        return f"It has one {min(extra)} too many."
    free = [key for key in graph if key not in expected]
    for key, node in expected.items():
        same = [k for k in free if graph[k]["class_type"] == node["class_type"]]
        own = key if key in graph else next(iter(same), "")
        if not own or graph[own]["class_type"] != node["class_type"]:
            continue
        for field in dict.fromkeys([*node["inputs"], *graph[own]["inputs"]]):
            shown, right = (_shown(g, g[k], field) for g, k in ((graph, own), (expected, key)))
            if shown != right:
                return f"Input {field} of {_described(graph, own)} is {shown}, expected {right}."
    return "Compare the links, node by node."


def _shown(graph: Graph, node: dict, field: str) -> str:
    if field not in node["inputs"]:
        return "missing"
    value = node["inputs"][field]
    if not isinstance(value, list):
        return repr(value)
    key, output = value
    is_new = graph[key]["class_type"] == "LoraLoader"  # its id is the student's choice
    return f"output {output} of {'a LoraLoader' if is_new else _described(graph, key)}"
