"""The check of `insert_lora`, of notebook 07."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from autograder.checks.base import Check, Draw, behaviour, kind
from autograder.checks.graphs import (
    LORA,
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

LOADERS = ("MnistdiffLoader", "CheckpointLoaderSimple")


class InsertLora(Check):
    """A LoraLoader between a loader and whatever used its MODEL and CLIP."""

    name = "insert_lora"
    points = 4

    @behaviour("one new LoraLoader, fed by the loader, with the name and both strengths", 1)
    def node(self, student: Any, draw: Draw) -> None:
        """Also into a graph that the student's own code made."""
        for graph, lora_name, strength in self._cases(draw):
            found = self._insert(student, graph, lora_name, strength)
            self._require_node(found, graph, lora_name, strength)
            again = self._insert(student, found, f"more-{lora_name}", strength + 1)
            self._require_node(again, found, f"more-{lora_name}", strength + 1)

    @behaviour("all that used the loader's MODEL now use that of the LoRA", 1)
    def model(self, student: Any, draw: Draw) -> None:
        """With one sampler, with two, and with a LoRA that is there already."""
        self._require_rewired(student, draw, 0, "MODEL")

    @behaviour("all that used the loader's CLIP now use that of the LoRA", 1)
    def clip(self, student: Any, draw: Draw) -> None:
        """Every text encoder, or the LoRA that is there already."""
        self._require_rewired(student, draw, 1, "CLIP")

    @behaviour("the rest is as before, and the graph that was given is unchanged", 1)
    def rest(self, student: Any, draw: Draw) -> None:
        """Above all the VAE, which no LoRA touches."""
        for graph, lora_name, strength in self._cases(draw):
            result, after = student.call_and_look(self.name, graph, lora_name, strength)
            found = as_graph(result)
            if not isomorphic(found, _with_lora(graph, lora_name, strength)):
                self._require_rest(found, graph)
            require_unchanged(after[0], graph)

    def _cases(self, draw: Draw) -> Iterator[tuple[Graph, str, float]]:
        """Both kinds of loader, a second sampler, a LoRA that is there already, before or after."""
        for loader, samplers, taken in (
            ("MnistdiffLoader", 1, False),
            ("CheckpointLoaderSimple", 2, False),
            ("MnistdiffLoader", 2, True),
            ("CheckpointLoaderSimple", 1, True),
        ):
            made, old = Builder(draw, loader), []
            # The last id as a text, though 10 is there already; and a loader before the loader.
            own, vae = made.loader, made.add("VAELoader", "9", vae_name=made.words.pop())
            model, clip, latent = [own, 0], [own, 1], made.latent()
            if taken:
                used = {"lora_name": made.words.pop(), "strength_model": 0.5, "strength_clip": 0.5}
                old = [made.add(LORA, model=model, clip=clip, **used)]
                model, clip = [old[0], 0], [old[0], 1]
            encoders = made.encoders(clip)
            drawn = made.sampler(model, *encoders, latent)
            users = [*encoders, drawn]
            if samplers == 2:  # straight from the loader, LoRA or not
                encoders = made.encoders([own, 1])
                drawn = made.sampler([own, 0], *encoders, drawn)
                users += [*encoders, drawn]
            made.add("VAEDecode", samples=[drawn, 0], vae=[vae, 0])
            made.output(drawn)
            strength = made.number(0, 0) * (-1 if samplers == 2 else 1)
            # Users before the loader: whoever looks for it on the way comes too late.
            first = [vae, own, *old] if samplers == 1 and taken else [vae, *old, *users, own]
            yield made.build(first), f"{made.words.pop()}.safetensors", strength

    def _insert(self, student: Any, *arguments: object) -> Graph:
        return as_graph(student.call(self.name, *arguments))

    def _require_node(self, found: Graph, graph: Graph, lora_name: str, strength: float) -> None:
        _require_text_ids(found)
        if isomorphic(found, _with_lora(graph, lora_name, strength)):
            return
        new = _new_lora(found, graph)
        if new in graph:
            raise WrongAnswer(
                f"{place(graph, new)} is lost: the LoraLoader took its id. Take one that the graph "
                "does not have yet, whatever its ids are"
            )
        links = {"model": [_loader(graph), 0], "clip": [_loader(graph), 1]}
        wanted = links | {"lora_name": lora_name}
        wanted |= {"strength_model": strength, "strength_clip": strength}
        inputs = found[new]["inputs"]
        for field, value in wanted.items():
            if field not in inputs:
                raise WrongAnswer(f"the LoraLoader lacks its input {field}")
            if not same(inputs[field], value):
                raise WrongAnswer(_about_input(field, inputs[field], value, new))
        if extra := inputs.keys() - wanted.keys():
            raise WrongAnswer(f"a LoraLoader has no input {min(extra)}")

    def _require_rewired(self, student: Any, draw: Draw, slot: int, kinds: str) -> None:
        for graph, lora_name, strength in self._cases(draw):
            found = self._insert(student, graph, lora_name, strength)
            if isomorphic(found, _with_lora(graph, lora_name, strength)):
                continue
            new, old = _new_lora(found, graph), [_loader(graph), slot]
            for name, field in _users(graph, old):
                if name not in found:
                    raise WrongAnswer(f"{place(graph, name)} is no longer in the graph")
                link = found[name]["inputs"].get(field)
                if name != new and not same(link, [new, slot]):
                    what = f"input {field} of {place(graph, name)}"
                    raise WrongAnswer(_about_link(link, old, [new, slot], what, kinds))

    def _require_rest(self, found: Graph, graph: Graph) -> None:
        new, loader = _new_lora(found, graph), _loader(graph)
        if new in graph or graph.keys() - found.keys():
            lost = new if new in graph else min(graph.keys() - found.keys())
            raise WrongAnswer(f"{place(graph, lost)} is lost: all nodes stay, one is added")
        if len(found) > len(graph) + 1:
            raise WrongAnswer("there are more new nodes than the one LoraLoader")
        for name, node in graph.items():
            if found[name]["class_type"] != node["class_type"]:
                raise WrongAnswer(f"{place(graph, name)} has another class_type now")
            before, now = node["inputs"], found[name]["inputs"]
            for field in before.keys() | now.keys():
                if before.get(field) in ([loader, 0], [loader, 1]):
                    continue  # asked for, and judged elsewhere
                if field not in before or not same(now.get(field), before[field]):
                    what = f"input {field} of {place(graph, name)}"
                    if before.get(field) == [loader, 2]:
                        raise WrongAnswer(
                            f"{what} came from the loader's VAE, and must still: a LoraLoader has "
                            "the outputs MODEL and CLIP only, so the VAE stays where it was"
                        )
                    raise WrongAnswer(f"{what} has changed, and the LoRA does not concern it")


def _loader(graph: Graph) -> str:
    return next(name for name, node in graph.items() if node["class_type"] in LOADERS)


def _users(graph: Graph, link: list) -> list[tuple[str, str]]:
    """The nodes and inputs that take this output."""
    return [(n, f) for n, node in graph.items() for f, v in node["inputs"].items() if v == link]


def _with_lora(graph: Graph, lora_name: str, strength: float) -> Graph:
    """What the answer should be, but for the new node's id."""
    wanted, loader, new = deepcopy(graph), _loader(graph), "new"
    for slot in (0, 1):
        for name, field in _users(graph, [loader, slot]):
            wanted[name]["inputs"][field] = [new, slot]
    inputs = {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name}
    inputs |= {"strength_model": strength, "strength_clip": strength}
    wanted[new] = {"class_type": LORA, "inputs": inputs}
    return wanted


def _new_lora(found: Graph, graph: Graph) -> str:
    """The id of the LoraLoader that the graph did not have."""

    def is_old(name: str) -> bool:
        before, now = (one.get(name, {"class_type": ""}) for one in (graph, found))
        names = (one.get("inputs", {}).get("lora_name") for one in (now, before))
        return before["class_type"] == LORA and same(*names)

    new = [n for n, node in found.items() if node["class_type"] == LORA and not is_old(n)]
    if len(new) == 1:
        return new[0]
    if new:
        raise WrongAnswer(f"there are {len(new)} new LoraLoaders, one is enough")
    added = [place(found, name) for name in found if name not in graph]
    told = f"the new node is {added[0]}" if added else "no node is new"
    raise WrongAnswer(f'a node with the class_type "LoraLoader" must be added; {told}')


def _require_text_ids(found: Graph) -> None:
    for name, node in found.items():
        for field, value in node["inputs"].items():
            if is_link(value) and type(value[0]) is int:
                raise WrongAnswer(
                    f"input {field} of {place(found, name)} is linked to {value[0]}, a number: ids "
                    f'are text, as the keys of the graph are, ["{value[0]}", {value[1]}]'
                )


def _about_input(field: str, value: object, wanted: object, new: str) -> str:
    """What is wrong with an input of the new node."""
    if field == "lora_name":
        return "the LoraLoader's lora_name must be the argument lora_name"
    if not is_link(wanted):
        if type(value) in (int, float):
            return f"the LoraLoader's {field} must be the argument strength"
        return f"the LoraLoader's {field} must be a number, got {kind(value)}"
    if not is_link(value):
        return f"the LoraLoader's {field} must be a link, the list [id, output]: got {kind(value)}"
    if str(value[0]) == new:
        return "the LoraLoader is linked to itself: it must keep the links to the loader"
    if str(value[0]) == wanted[0]:
        return "a loader's outputs are MODEL, 0, CLIP, 1, and VAE, 2: the slots are mixed up"
    return f"the LoraLoader's {field} must come from the loader: it stands right after it"


def _about_link(link: object, old: list, wanted: list, what: str, kinds: str) -> str:
    """What is wrong with a link that should lead to the new node."""
    if same(link, old):
        return f"{what} still takes the {kinds} of the loader: rewire every input that had it"
    if not is_link(link):
        return f"{what} must be a link, the list [id, output]: got {kind(link)}"
    if str(link[0]) == wanted[0]:
        return f"{what} takes the wrong output: a LoraLoader's are MODEL, 0, and CLIP, 1"
    return f"{what} must take the {kinds} of the LoraLoader"
