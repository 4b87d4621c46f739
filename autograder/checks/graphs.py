"""What the checks of notebook 07 share: drawn ComfyUI graphs, and when two graphs are one."""

import hashlib
from collections.abc import Sequence
from typing import Any

from autograder.checks.base import Draw, kind
from autograder.inside.student import WrongAnswer

Graph = dict[str, dict[str, Any]]
ENCODER, LORA, SAMPLER = "CLIPTextEncode", "LoraLoader", "KSampler"
FLOATS = ("cfg", "denoise", "strength_model", "strength_clip")  # a whole number does as well
BIG = 2**64


def is_link(value: object) -> bool:
    """Whether an input's value is [id, output]."""
    if not isinstance(value, list) or len(value) != 2 or not _is_whole(value[1]):
        return False
    return type(value[0]) is str or _is_whole(value[0])


def same(value: object, wanted: object) -> bool:
    """Equal values of one type; a whole number may stand for a float, an id for its text."""
    if is_link(value) or is_link(wanted):
        both = is_link(value) and is_link(wanted)
        return both and [str(value[0]), value[1]] == [str(wanted[0]), wanted[1]]
    if type(wanted) is float:
        return type(value) in (int, float) and value == wanted
    return type(value) is type(wanted) and value == wanted


def as_graph(result: object) -> Graph:
    """A returned graph: every node with a class_type and inputs by name."""
    if not isinstance(result, dict) or not result:
        raise WrongAnswer(f"expected a graph, {{id: node, ...}}, got {kind(result)}")
    for name, node in result.items():
        if not isinstance(node, dict) or type(node.get("class_type")) is not str:
            raise WrongAnswer(
                f"{name!r} is no node: it needs a class_type and inputs, as in "
                '{"class_type": "KSampler", "inputs": {...}}'
            )
        if not isinstance(node.get("inputs"), dict):
            raise WrongAnswer(
                f"the node {name!r} ({node['class_type']}) has no dictionary of inputs"
            )
    return result


def isomorphic(graph: Graph, wanted: Graph) -> bool:
    """Whether the graphs are one, but for the ids of their nodes."""
    return len(graph) == len(wanted) and _colours(graph) == _colours(wanted)


def place(graph: Graph, name: str) -> str:
    """A node in words for the student."""
    return f"node {name} ({graph[name]['class_type']})"


def require_unchanged(after: object, graph: Graph) -> None:
    """Refuse a call that changed the graph that it was given."""
    kept = isinstance(after, dict) and after.keys() == graph.keys()
    for name, node in graph.items():
        now = after[name] if kept and isinstance(after[name], dict) else {}
        inputs = now.get("inputs")
        kept = same(now.get("class_type"), node["class_type"]) and isinstance(inputs, dict)
        kept = kept and inputs.keys() == node["inputs"].keys()
        if not kept or not all(same(inputs[f], value) for f, value in node["inputs"].items()):
            raise WrongAnswer(
                "the graph that was given has changed: work on a deep copy (a plain copy, "
                "dict(graph) or graph.copy(), shares its nodes with the original)"
            )


def _is_whole(value: object) -> bool:
    return type(value) is int and -BIG < value < BIG


def _colours(graph: Graph) -> list[str]:
    """A text per node for its values and all that leads to it, sorted; ids do not enter it.

    Each round tells every node what the ones before it were told (Weisfeiler and Leman). Drawn
    nodes all differ in their values, so equal lists mean equal graphs.
    """
    colours = dict.fromkeys(graph, "")
    for _ in range(len(graph) + 1):
        colours = {
            name: _digest(
                node["class_type"],
                *sorted((str(f), _told(f, v, colours)) for f, v in node["inputs"].items()),
            )
            for name, node in graph.items()
        }
    return sorted(colours.values())


def _told(field: str, value: object, colours: dict[str, str]) -> str:
    if is_link(value) and str(value[0]) in colours:
        return f"output {value[1]} of {colours[str(value[0])]}"
    if field in FLOATS and type(value) is float and value.is_integer():
        value = int(value)
    return repr(value) if type(value) is not int or _is_whole(value) else "too large"


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class Builder:
    """Makes one graph with ids, values and an order of nodes of its own."""

    def __init__(self, draw: Draw, loader: str) -> None:
        self.draw = draw
        self.ids = [str(100 + int(i)) for i in draw.order(800)]
        self.words = [f"word{10_000 + int(i)}" for i in draw.order(80_000)[:50]]
        self.nodes: list[tuple[str, dict[str, Any]]] = []
        field = "model_name" if loader == "MnistdiffLoader" else "ckpt_name"
        self.loader = self.add(loader, **{field: f"{self.words.pop()}.safetensors"})

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        return low + int(self.draw.order(high - low + 1)[0])

    def number(self, low: float, high: float) -> float:
        """A float with two decimals, never a whole one."""
        return round(low + self.whole(0, int(high - low)) + 0.01 * self.whole(1, 98), 2)

    def add(self, class_type: str, name: str = "", **inputs: object) -> str:
        """A further node; returns its id."""
        name = name or self.ids.pop()
        self.nodes.append((name, {"class_type": class_type, "inputs": inputs}))
        return name

    def encoders(self, clip: list, names: Sequence[str] = ("", "")) -> list[str]:
        """A CLIPTextEncode for each of these ids."""
        return [self.add(ENCODER, name, text=self.words.pop(), clip=clip) for name in names]

    def sampler(self, model: list, positive: str, negative: str, latent: str) -> str:
        """A KSampler whose settings no edit asks for."""
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
        """An EmptyLatentImage, under the id that the shipped workflow has for its LoraLoader."""
        sides = {side: 16 * self.whole(1, 64) for side in ("width", "height")}
        return self.add("EmptyLatentImage", "2", **sides, batch_size=self.whole(1, 8))

    def output(self, sampler: str) -> None:
        """VAEDecode, and SaveImage and PreviewImage after it."""
        image = self.add("VAEDecode", samples=[sampler, 0], vae=[self.loader, 2])
        # Under the ids that one gets by counting the nodes: they are taken.
        for class_type, count in (("SaveImage", 3), ("PreviewImage", 1)):
            fields = {"filename_prefix": self.words.pop()} if count == 3 else {}
            name = str(len(self.nodes) + count)
            self.add(class_type, name, images=[image, 0], **fields)

    def build(self, first: Sequence[str]) -> Graph:
        """The graph: these nodes first, in this order, then the others; the last one stays last.

        Where the order decides what an answer finds, it must not be drawn; and one more than the
        last node's id is taken.
        """
        *made, last = self.nodes
        rest = [made[i] for i in self.draw.order(len(made)).tolist() if made[i][0] not in first]
        named = dict(made)
        return {name: named[name] for name in first} | dict(rest) | dict([last])
