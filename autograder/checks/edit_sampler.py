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
    as_graph,
    is_link,
    isomorphic,
    place,
    require_unchanged,
    same,
)
from autograder.inside.student import WrongAnswer


class EditSampler(Check):
    """Settings in the KSampler, texts in the two encoders that its links lead to."""

    name = "edit_sampler"
    points = 4

    @behaviour("the KSampler has the sampler_name, the steps and the cfg", 1)
    def settings(self, student: Any, draw: Draw) -> None:
        """As a text, a whole number and a number."""
        for graph, *wanted in self._cases(draw):
            found = self._edit(student, graph, *wanted)
            before, now = (_sampler(one)["inputs"] for one in (graph, found))
            for field, value in zip(("sampler_name", "steps", "cfg"), wanted[2:], strict=True):
                if not same(now.get(field), value):
                    raise WrongAnswer(_about_setting(field, now, before, value))

    @behaviour("the encoder behind the KSampler's input positive has the positive text", 1)
    def positive(self, student: Any, draw: Draw) -> None:
        """Wherever it stands, and whatever its id is."""
        self._require_text(student, draw, "positive", "negative")

    @behaviour("the encoder behind the KSampler's input negative has the negative text", 1)
    def negative(self, student: Any, draw: Draw) -> None:
        """An empty text is one, too."""
        self._require_text(student, draw, "negative", "positive")

    @behaviour("the rest is as before, and the graph that was given is unchanged", 1)
    def rest(self, student: Any, draw: Draw) -> None:
        """An encoder that the sampler does not use keeps its text."""
        for graph, *wanted in self._cases(draw):
            result, after = student.call_and_look(self.name, graph, *wanted)
            found = as_graph(result)
            if isomorphic(found, graph):
                raise WrongAnswer("the result is the graph as it was: nothing is edited")
            if not isomorphic(self._blank(found), self._blank(graph)):
                self._require_rest(found, graph)
            require_unchanged(after[0], graph)

    def _cases(self, draw: Draw) -> Iterator[tuple]:
        """Three encoders, one of them not used by the sampler, in three orders.

        They come before the sampler, after it, or on both sides: one pass must not be enough.
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

    def _edit(self, student: Any, *arguments: object) -> Graph:
        return as_graph(student.call(self.name, *arguments))

    def _require_text(self, student: Any, draw: Draw, which: str, other: str) -> None:
        for graph, *wanted in self._cases(draw):
            texts = dict(zip(("positive", "negative"), wanted, strict=False))
            found = self._edit(student, graph, *wanted)
            now = _encoder(found, which)["inputs"].get("text")
            if same(now, texts[which]):
                continue
            if same(now, texts[other]):
                raise WrongAnswer(
                    f"the encoder that the KSampler's input {which} is linked to has the {other} "
                    "text: follow the links, the order and the ids of the nodes tell nothing"
                )
            if same(now, _encoder(graph, which)["inputs"]["text"]):
                empty = " (an empty text is a text, too)" if texts[which] == "" else ""
                raise WrongAnswer(
                    f"the encoder that the KSampler's input {which} is linked to still has its old "
                    f"text{empty}: inputs[{which!r}] of the KSampler holds that encoder's id"
                )
            raise WrongAnswer(
                f"the encoder of the {which} prompt must have the {which} text as `text`"
            )

    def _blank(self, graph: Graph) -> Graph:
        """The graph without what an edit changes."""
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
            raise WrongAnswer(f"{place(found, min(extra))} is new: edit the nodes that are there")
        before, now = self._blank(graph), self._blank(found)
        for name, node in before.items():
            if now[name]["class_type"] != node["class_type"]:
                raise WrongAnswer(f"{place(graph, name)} has another class_type now")
            inputs = now[name]["inputs"]
            for field in node["inputs"].keys() | inputs.keys():
                if not same(inputs.get(field), node["inputs"].get(field)):
                    raise WrongAnswer(
                        f"input {field} of {place(graph, name)} has changed: the edit is the "
                        "KSampler's three values and the texts of the two encoders it is linked to"
                    )
        raise WrongAnswer("the nodes are linked in another way than before")


def _sampler(graph: Graph) -> dict[str, Any]:
    found = [node for node in graph.values() if node["class_type"] == SAMPLER]
    if len(found) != 1:
        raise WrongAnswer(
            f"the graph has {len(found) or 'no'} KSampler now; it had one, and must keep it"
        )
    return found[0]


def _encoder(graph: Graph, which: str) -> dict[str, Any]:
    """The CLIPTextEncode that an input of the KSampler is linked to."""
    link = _sampler(graph)["inputs"].get(which)
    node = graph.get(str(link[0])) if is_link(link) else None
    if node is None or node["class_type"] != ENCODER:
        raise WrongAnswer(
            f"the KSampler's input {which} must stay linked to its CLIPTextEncode: the text goes "
            "into that node, not into the KSampler"
        )
    return node


def _about_setting(field: str, now: dict, before: dict, value: object) -> str:
    """What is wrong with a setting of the KSampler."""
    if field == "sampler_name" and same(now.get("scheduler"), value):
        return "sampler_name went into scheduler, which is another input (how timesteps are spaced)"
    if field in ("steps", "cfg") and type(now.get(field)) not in (int, float):
        return f"the KSampler's {field} must be a number, got {kind(now.get(field))}"
    if same(now.get(field), before[field]):
        return f"the KSampler's {field} is still what it was"
    if field == "steps" and type(now[field]) is float:
        return "the KSampler's steps must be a whole number, an int"
    return f"the KSampler's {field} must be the argument {field}"
