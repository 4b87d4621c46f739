"""The check of `edit_sampler`, of notebook 07."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from autograder.checks.base import Check, Draw, behaviour, kind
from autograder.checks.graphs import (
    ENCODER,
    SAMPLER,
    Builder,
    Graph,
    call_on_graph,
    is_link,
    isomorphic,
    place,
    require_unchanged,
    same,
)
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer


class EditSampler(Check):
    """New settings in the KSampler, and new texts in the two encoders that it is linked to."""

    name = "edit_sampler"
    points = 4

    @behaviour("the KSampler has the sampler_name, the steps and the cfg", 1)
    def settings(self, student: Student, draw: Draw) -> None:
        """Test types and values: a text, a whole number and a number."""
        for graph, *wanted in self._cases(draw):
            found = self._edit(student, graph, *wanted)
            before, now = (_sampler(one)["inputs"] for one in (graph, found))
            for field, value in zip(("sampler_name", "steps", "cfg"), wanted[2:], strict=True):
                if not same(now.get(field), value):
                    raise WrongAnswer(_about_setting(field, now, before, value))

    @behaviour("the encoder at the input positive of the KSampler has the positive text", 1)
    def positive(self, student: Student, draw: Draw) -> None:
        """Test any order of nodes and any ids."""
        self._require_text(student, draw, "positive", "negative")

    @behaviour("the encoder at the input negative of the KSampler has the negative text", 1)
    def negative(self, student: Student, draw: Draw) -> None:
        """Include an empty text."""
        self._require_text(student, draw, "negative", "positive")

    @behaviour("the rest is as before, and the given graph is unchanged", 1)
    def rest(self, student: Student, draw: Draw) -> None:
        """Test everything else, such as the text of an encoder that the sampler does not use."""
        for graph, *wanted in self._cases(draw):
            found = self._edit(student, graph, *wanted)
            _, after = student.call_and_look(self.name, graph, *wanted)
            if isomorphic(found, graph):
                raise WrongAnswer("the returned graph is unchanged: edit it")
            if not isomorphic(self._blank(found), self._blank(graph)):
                self._require_rest(found, graph)
            require_unchanged(after[0], graph)

    def _cases(self, draw: Draw) -> Iterator[tuple]:
        """Yield graphs with three encoders, of which the sampler uses two, in three orders.

        They come before the sampler, after it, or on both sides, so that one pass is not enough.
        """
        for loader, order, negative, before in (
            ("MnistdiffLoader", "positive negative spare", "bad", 3),
            ("CheckpointLoaderSimple", "negative positive spare", "", 0),
            ("MnistdiffLoader", "spare negative positive", "bad", 2),
        ):
            made = Builder(draw, loader)
            names = sorted(made.ids.pop() for _ in range(3))
            own = dict(zip(order.split(), names, strict=True))
            made.encoders([made.loader, 1], names)
            latent = made.latent()
            drawn = made.sampler([made.loader, 0], own["positive"], own["negative"], latent)
            made.output(drawn)
            texts = made.words.pop(), negative and made.words.pop()
            sampler = ("ddim", "euler", "dpmpp_2m")[made.whole(0, 2)]
            graph = made.build([*names[:before], drawn, *names[before:]])
            yield graph, *texts, sampler, made.whole(5, 50), made.number(1, 9)

    def _edit(self, student: Student, *arguments: object) -> Graph:
        return call_on_graph(student, self.name, *arguments)

    def _require_text(self, student: Student, draw: Draw, which: str, other: str) -> None:
        for graph, *wanted in self._cases(draw):
            texts: dict[str, Any] = dict(zip(("positive", "negative"), wanted, strict=False))
            found = self._edit(student, graph, *wanted)
            now = _encoder(found, which)["inputs"].get("text")
            if same(now, texts[which]):
                continue
            if same(now, texts[other]):
                raise WrongAnswer(
                    f"the encoder at the input {which} of the KSampler has the {other} text: "
                    "follow the links, because the order and the ids of the nodes mean nothing"
                )
            if same(now, _encoder(graph, which)["inputs"]["text"]):
                empty = " (an empty text must be set too)" if texts[which] == "" else ""
                raise WrongAnswer(
                    f"the encoder at the input {which} of the KSampler still has its old "
                    f"text{empty}: inputs[{which!r}] of the KSampler holds the id of that encoder"
                )
            raise WrongAnswer(
                f"the encoder of the {which} prompt must have the {which} text as its `text`"
            )

    def _blank(self, graph: Graph) -> Graph:
        """Return a copy of the graph with fixed values wherever an edit may change it."""
        copy = deepcopy(graph)
        for field in ("sampler_name", "steps", "cfg"):
            _sampler(copy)["inputs"][field] = None
        for which in ("positive", "negative"):
            _encoder(copy, which)["inputs"]["text"] = which
        return copy

    def _require_rest(self, found: Graph, graph: Graph) -> None:
        if lost := graph.keys() - found.keys():
            raise WrongAnswer(f"{place(graph, min(lost))} is lost: an edit keeps every node")
        if extra := found.keys() - graph.keys():
            raise WrongAnswer(f"{place(found, min(extra))} is new: edit the existing nodes")
        before, now = self._blank(graph), self._blank(found)
        for name, node in before.items():
            if now[name]["class_type"] != node["class_type"]:
                raise WrongAnswer(f"{place(graph, name)} has another class_type now")
            inputs = now[name]["inputs"]
            for field in node["inputs"].keys() | inputs.keys():
                if not same(inputs.get(field), node["inputs"].get(field)):
                    raise WrongAnswer(
                        f"input {field} of {place(graph, name)} has changed: edit only three "
                        "values of the KSampler and the texts of the two encoders linked to it"
                    )
        raise WrongAnswer("the links between the nodes have changed: keep them")


def _sampler(graph: Graph) -> dict[str, Any]:
    found = [node for node in graph.values() if node["class_type"] == SAMPLER]
    if len(found) != 1:
        raise WrongAnswer(
            f"the graph now has {len(found)} KSampler nodes: it must keep exactly one"
        )
    return found[0]


def _encoder(graph: Graph, which: str) -> dict[str, Any]:
    """Return the CLIPTextEncode that an input of the KSampler is linked to."""
    link = _sampler(graph)["inputs"].get(which)
    node = graph.get(str(link[0])) if is_link(link) else None
    if node is None or node["class_type"] != ENCODER:
        raise WrongAnswer(
            f"the input {which} of the KSampler must stay linked to its CLIPTextEncode: the text "
            "goes into that node, not into the KSampler"
        )
    return node


def _about_setting(field: str, now: dict, before: dict, value: object) -> str:
    """Return the hint for a wrong setting of the KSampler."""
    if field == "sampler_name" and same(now.get("scheduler"), value):
        return "you set scheduler (the spacing of the timesteps) instead of sampler_name"
    if field in ("steps", "cfg") and type(now.get(field)) not in (int, float):
        return f"the KSampler's {field} must be a number, got {kind(now.get(field))}"
    if same(now.get(field), before[field]):
        return f"the KSampler's {field} is unchanged: it is one of the node's inputs"
    if field == "steps" and type(now[field]) is float:
        return "the KSampler's steps must be a whole number, an int"
    return f"the KSampler's {field} must be the argument {field}"
