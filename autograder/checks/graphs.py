"""Shared by the checks of notebook 07: random ComfyUI graphs, and comparing two graphs."""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeGuard

from autograder.checks.base import Draw, kind
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer
from mnistdiff.course.advice import on_graph_error

Graph = dict[str, dict[str, Any]]
ENCODER, LORA, SAMPLER = "CLIPTextEncode", "LoraLoader", "KSampler"
FLOATS = ("cfg", "denoise", "strength_model", "strength_clip")  # a whole number is accepted too
BIG = 2**64


def is_link(value: object) -> TypeGuard[list[Any]]:
    """Return whether the value of an input is a link, [id, output]."""
    if not isinstance(value, list) or len(value) != 2 or not _is_whole(value[1]):
        return False
    return type(value[0]) is str or _is_whole(value[0])


def same(value: object, wanted: object) -> bool:
    """Return whether type and value are equal.

    A whole number may stand for a float, and a number for an id.
    """
    if is_link(value) and is_link(wanted):
        return [str(value[0]), value[1]] == [str(wanted[0]), wanted[1]]
    if is_link(value) or is_link(wanted):
        return False
    if type(wanted) is float:
        return type(value) in (int, float) and value == wanted
    return type(value) is type(wanted) and value == wanted


def as_graph(result: object) -> Graph:
    """Return the result as a graph.

    Raises WrongAnswer unless every node has a class_type and a dictionary of inputs.
    """
    if not isinstance(result, dict) or not result:
        raise WrongAnswer(f"expected a graph, {{id: node, ...}}, got {kind(result)}")
    for name, node in result.items():
        if not isinstance(node, dict) or type(node.get("class_type")) is not str:
            raise WrongAnswer(
                f"{name!r} is not a node: it needs a class_type and inputs, as in "
                '{"class_type": "KSampler", "inputs": {...}}'
            )
        if not isinstance(node.get("inputs"), dict):
            raise WrongAnswer(
                f"the node {name!r} ({node['class_type']}) has no dictionary of inputs"
            )
    return result


def call_on_graph(student: Student, name: str, *arguments: object) -> Graph:
    """Return the graph that a function returns; say what an error in it means, if that is known."""
    try:
        return as_graph(student.call(name, *arguments))
    except WrongAnswer as wrong:
        why = on_graph_error(str(wrong))
        raise WrongAnswer(f"{wrong}. {why[:1].upper()}{why[1:]}" if why else str(wrong)) from None


def isomorphic(graph: Graph, wanted: Graph) -> bool:
    """Return whether the graphs are equal up to the ids of their nodes."""
    return len(graph) == len(wanted) and _colours(graph) == _colours(wanted)


def place(graph: Graph, name: str) -> str:
    """Describe a node for the student."""
    return f"node {name} ({graph[name]['class_type']})"


def require_unchanged(after: object, graph: Graph) -> None:
    """Raise WrongAnswer if a call has changed the graph that it was given."""
    nodes = after if isinstance(after, dict) and after.keys() == graph.keys() else {}
    if not all(_is_same_node(nodes.get(name), node) for name, node in graph.items()):
        raise WrongAnswer(
            "the given graph was changed in place: work on a deep copy (a plain copy, "
            "dict(graph) or graph.copy(), shares its nodes with the original)"
        )


def _is_same_node(node: object, wanted: dict[str, Any]) -> bool:
    if not isinstance(node, dict) or not same(node.get("class_type"), wanted["class_type"]):
        return False
    inputs = node.get("inputs")
    if not isinstance(inputs, dict) or inputs.keys() != wanted["inputs"].keys():
        return False
    return all(same(inputs[field], value) for field, value in wanted["inputs"].items())


def _is_whole(value: object) -> bool:
    return type(value) is int and -BIG < value < BIG


def _colours(graph: Graph) -> list[str]:
    """Return the sorted digests of all nodes: of their values and of everything that leads to them.

    Ids are left out. Each round describes a node by its inputs' digests from the round before
    (Weisfeiler and Leman). Our nodes all differ in their values, so equal lists mean equal graphs.
    """
    colours = dict.fromkeys(graph, "")
    for _ in range(len(graph) + 1):
        colours = {
            name: _digest(
                node["class_type"],
                *sorted((str(f), _described(f, v, colours)) for f, v in node["inputs"].items()),
            )
            for name, node in graph.items()
        }
    return sorted(colours.values())


def _described(field: str, value: object, colours: dict[str, str]) -> str:
    if is_link(value) and str(value[0]) in colours:
        return f"output {value[1]} of {colours[str(value[0])]}"
    if field in FLOATS and type(value) is float and value.is_integer():
        value = int(value)
    return repr(value) if type(value) is not int or _is_whole(value) else "too large"


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class Builder:
    """Builds one graph with random ids, values and order of nodes."""

    def __init__(self, draw: Draw, loader: str) -> None:
        self.draw = draw
        self.ids = [str(100 + int(i)) for i in draw.order(800)]
        self.words = [f"word{10_000 + int(i)}" for i in draw.order(80_000)[:50]]
        self.nodes: list[tuple[str, dict[str, Any]]] = []
        field = "model_name" if loader == "MnistdiffLoader" else "ckpt_name"
        self.loader = self.add(loader, **{field: f"{self.words.pop()}.safetensors"})

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        return low + int(self.draw.order(high - low + 1)[0])

    def number(self, low: float, high: float) -> float:
        """Return a float with two decimals that is not a whole number."""
        return round(low + self.whole(0, int(high - low)) + 0.01 * self.whole(1, 98), 2)

    def add(self, class_type: str, name: str = "", **inputs: object) -> str:
        """Add a node and return its id."""
        name = name or self.ids.pop()
        self.nodes.append((name, {"class_type": class_type, "inputs": inputs}))
        return name

    def encoders(self, clip: list, names: Sequence[str] = ("", "")) -> list[str]:
        """Add a CLIPTextEncode for each of these names and return their ids."""
        return [self.add(ENCODER, name, text=self.words.pop(), clip=clip) for name in names]

    def sampler(self, model: list, positive: str, negative: str, latent: str) -> str:
        """Add a KSampler with settings that no edit asks for, and return its id."""
        return self.add(
            SAMPLER,
            model=model,
            seed=self.whole(0, 9_999),
            steps=self.whole(60, 99),
            cfg=self.number(20, 30),
            sampler_name="heun",
            scheduler="karras",
            positive=[positive, 0],
            negative=[negative, 0],
            latent_image=[latent, 0],
            denoise=self.number(0, 0),
        )

    def latent(self) -> str:
        """Add an EmptyLatentImage with the id of the LoraLoader in the shipped workflow."""
        sides = {side: 16 * self.whole(1, 64) for side in ("width", "height")}
        return self.add("EmptyLatentImage", "2", **sides, batch_size=self.whole(1, 8))

    def output(self, sampler: str) -> None:
        """Add a VAEDecode, and a SaveImage and a PreviewImage after it."""
        image = self.add("VAEDecode", samples=[sampler, 0], vae=[self.loader, 2])
        # Take the ids that an answer gets by counting the nodes, so that counting fails.
        for class_type, count in (("SaveImage", 3), ("PreviewImage", 1)):
            fields = {"filename_prefix": self.words.pop()} if count == 3 else {}
            name = str(len(self.nodes) + count)
            self.add(class_type, name, images=[image, 0], **fields)

    def build(self, first: Sequence[str]) -> Graph:
        """Return the graph: the nodes `first` in this order, then the others in random order.

        The last node stays last, because one more than its id must be taken. `first` fixes the
        order wherever it decides what an answer finds.
        """
        *made, last = self.nodes
        rest = [made[i] for i in self.draw.order(len(made)).tolist() if made[i][0] not in first]
        named = dict(made)
        return {name: named[name] for name in first} | dict(rest) | dict([last])
