"""Comparisons for the notebooks' visible tests, with messages that name the likely mistake."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mnistdiff.course.advice import on_error, on_graph_error

Numbers = list | float

AXES = "Which axes do you sum or average over?"
DRAWN = "two equal calls differ: use the arguments, and do not draw random numbers inside"
NOT_FINITE = (
    "Look for the square root of a negative number, the logarithm of 0 or less, a division by 0, "
    "or an exponential of a large number"
)
CUT = "it is not used, or .item(), .detach(), .data, no_grad or NumPy cuts the gradient"


def expect(
    name: str,
    found: object,
    expected: Numbers,
    causes: Mapping[str, Numbers],
    about_shape: str = AXES,
    rule: str = "compare it with the equation, term by term",
) -> None:
    """Raise AssertionError unless an answer equals the expected numbers, to 0.001.

    The message shows both and names a likely cause: `causes` maps a sentence about a mistake to
    the numbers that it gives, to four decimals. Otherwise it says how the numbers differ, and
    states `rule`, what must hold. `about_shape` ends the message about a wrong shape.
    """
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    found = require_tensor(name, found)
    shape = f"{name} has shape {tuple(found.shape)}, expected {tuple(wanted.shape)}."
    assert found.shape == wanted.shape, f"{shape} {about_shape}"
    values = found.detach().double()
    # Closer than an answer need be: another mistake may come near the numbers of this one.
    close = {why: values.allclose(values.new_tensor(x), atol=1e-4) for why, x in causes.items()}
    why = next((f"Likely cause: {why}." for why in close if close[why]), "")
    shown = f"{name} is {values.numpy().round(4).tolist()}, expected {expected}"
    why = why or f"{_relation(values, wanted)}{rule[0].upper()}{rule[1:]}."
    assert values.allclose(wanted, atol=1e-3), f"{shown}. {why}"


def _relation(values: Tensor, wanted: Tensor) -> str:
    """Say how wrong values differ from the expected ones; "" if there is no simple relation."""
    ratio = float((values * wanted).sum() / wanted.square().sum()) if wanted.any() else 0.0
    if ratio and values.allclose(ratio * wanted, atol=1e-4):
        neat = any(abs(x - round(x)) < 1e-3 for x in (ratio, 1 / ratio))
        if ratio < 0 and abs(ratio + 1) < 1e-3:
            return "The sign is wrong. "
        if neat or values.numel() > 2:
            return f"This is {ratio:.4g} times the expected result. "
    if values.numel() < 3:
        return ""
    low, high = values.min(), values.max()
    # one wrong number at the end is no clipping: a bound must have stopped several
    cut = ((values == low) | (values == high)) & ~values.isclose(wanted, atol=1e-4)
    inside = ((values > low) & (values < high)).any() and int(cut.sum()) > 1
    if inside and values.allclose(wanted.clamp(low, high), atol=1e-4):
        return f"This is the expected result, clipped to [{low:.4g}, {high:.4g}]. "
    if values.flatten().sort()[0].allclose(wanted.flatten().sort()[0], atol=1e-4):
        return "These are the expected numbers in another order. "
    right = int(values.isclose(wanted, atol=1e-3).sum())
    return f"{right} of {values.numel()} numbers are right. " if right else ""


def as_number(found: object) -> object:
    """Return a plain number, or a tensor of one number, as a scalar tensor; else the answer."""
    if isinstance(found, Tensor):
        return found.reshape(()) if found.numel() == 1 else found
    is_number = hasattr(found, "__float__") and getattr(found, "ndim", 0) == 0
    return torch.tensor(float(found)) if is_number else found  # pyright: ignore[reportArgumentType]


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


def on_copies(function: Callable, *given: object, **named: object) -> object:
    """Call a function on copies of its tensors, so that in-place changes spoil no other test."""
    copies = (value.clone() if isinstance(value, Tensor) else value for value in given)
    return explained(function, *copies, **named)


def explained(function: Callable, *given: object, **named: object) -> object:
    """Call a function; if an error is raised whose meaning is known, say it in a sentence."""
    try:
        return function(*given, **named)
    except Exception as error:
        shown = f"{type(error).__name__}: {error}"
        if why := on_error(shown):
            raise AssertionError(f"{why} ({shown}).") from error
        raise


def repeated(name: str, function: Callable, *given: object) -> object:
    """Return the result of a call on copies; raise AssertionError if a second call differs."""
    found, again = (on_copies(function, *given) for _ in range(2))
    if isinstance(found, Tensor):
        require_tensor(name, found)
        assert isinstance(again, Tensor), f"{name}: {DRAWN}."
        assert found.equal(again), f"{name}: {DRAWN}."
    return found


def require_gradients(loss: object, **given: Tensor) -> None:
    """Raise AssertionError unless a finite, non-zero gradient of the loss reaches each tensor."""
    together = " and ".join(given)
    assert isinstance(loss, Tensor), f"the result is of type {type(loss).__name__}, not a tensor"
    assert loss.requires_grad, f"no gradient reaches {together}: {CUT}."
    explained(loss.sum().backward)
    for name, tensor in given.items():
        gradient = tensor.grad
        assert gradient is not None, f"no gradient reaches {name}: {CUT}."
        require_tensor(f"the gradient for {name}", gradient)
        zero = f"the gradient for {name} is 0: the result does not change with {name}, or a clamp hides it"
        assert gradient.any(), f"{zero}."


Graph = dict[str, dict[str, Any]]


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


def on_graph(function: Callable, *given: object) -> object:
    """Call a function on a graph; if an error is raised whose meaning is known, say it."""
    try:
        return function(*given)
    except Exception as error:
        shown = f"{type(error).__name__}: {error}"
        if why := on_graph_error(shown):
            raise AssertionError(f"{why} ({shown}).") from error
        raise


def _as_graph(name: str, found: object) -> Graph:
    """Return the answer as a graph, read back from JSON; raise AssertionError if it is not one."""
    kind = type(found).__name__
    assert found is not None, f"{name} is None, expected a dictionary. Is there a `return`?"
    assert isinstance(found, dict), f"{name} is of type {kind}: return only the graph, a dictionary."
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
    lost, extra = wanted - ours, ours - wanted
    if lost and extra:
        return f"It has a {min(extra)} where a {min(lost)} is expected."
    if lost:
        return f"It lacks a {min(lost)}: was it left out, or did a new node take its id?"
    if extra:
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
