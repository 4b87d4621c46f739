"""The check of `insert_lora`, of notebook 07."""

from collections.abc import Iterator
from copy import deepcopy

from autograder.checks.base import Check, Draw, behaviour, kind
from autograder.checks.graphs import (
    LORA,
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

LOADERS = ("MnistdiffLoader", "CheckpointLoaderSimple")


class InsertLora(Check):
    """A LoraLoader between a loader and the nodes that used its MODEL and CLIP."""

    name = "insert_lora"
    points = 4

    @behaviour("one new LoraLoader, linked to the loader, with the name and both strengths", 1)
    def node(self, student: Student, draw: Draw) -> None:
        """Insert one LoRA, and a second one into the resulting graph."""
        for graph, lora_name, strength in self._cases(draw):
            found = self._insert(student, graph, lora_name, strength)
            self._require_node(found, graph, lora_name, strength)
            again = self._insert(student, found, f"more-{lora_name}", strength + 1)
            self._require_node(again, found, f"more-{lora_name}", strength + 1)

    @behaviour("all inputs that used the MODEL of the loader now use the MODEL of the LoRA", 1)
    def model(self, student: Student, draw: Draw) -> None:
        """Test one sampler, two samplers, and a graph that already has a LoRA."""
        self._require_rewired(student, draw, 0, "MODEL")

    @behaviour("all inputs that used the CLIP of the loader now use the CLIP of the LoRA", 1)
    def clip(self, student: Student, draw: Draw) -> None:
        """Test every text encoder, or the LoRA that is already there."""
        self._require_rewired(student, draw, 1, "CLIP")

    @behaviour("the rest is as before, and the given graph is unchanged", 1)
    def rest(self, student: Student, draw: Draw) -> None:
        """Test above all the VAE, which a LoRA does not affect."""
        for graph, lora_name, strength in self._cases(draw):
            found = self._insert(student, graph, lora_name, strength)
            _, after = student.call_and_look(self.name, graph, lora_name, strength)
            if not isomorphic(found, _with_lora(graph, lora_name, strength)):
                self._require_rest(found, graph)
            require_unchanged(after[0], graph)

    def _cases(self, draw: Draw) -> Iterator[tuple[Graph, str, float]]:
        """Yield graphs with both kinds of loader, a second sampler, and a LoRA already in place."""
        for loader, samplers, taken in (
            ("MnistdiffLoader", 1, False),
            ("CheckpointLoaderSimple", 2, False),
            ("MnistdiffLoader", 2, True),
            ("CheckpointLoaderSimple", 1, True),
        ):
            made, old = Builder(draw, loader), []
            # Id 9 is the largest as text, but 10 is taken. A VAELoader comes before the loader.
            own, vae = made.loader, made.add("VAELoader", "9", vae_name=made.words.pop())
            model, clip, latent = [own, 0], [own, 1], made.latent()
            if taken:
                used = {"lora_name": made.words.pop(), "strength_model": 0.5, "strength_clip": 0.5}
                old = [made.add(LORA, model=model, clip=clip, **used)]
                model, clip = [old[0], 0], [old[0], 1]
            encoders = made.encoders(clip)
            drawn = made.sampler(model, encoders[0], encoders[1], latent)
            users = [*encoders, drawn]
            if samplers == 2:  # linked to the loader directly, with or without a LoRA
                encoders = made.encoders([own, 1])
                drawn = made.sampler([own, 0], encoders[0], encoders[1], drawn)
                users += [*encoders, drawn]
            made.add("VAEDecode", samples=[drawn, 0], vae=[vae, 0])
            made.output(drawn)
            strength = made.number(0, 0) * (-1 if samplers == 2 else 1)
            # Nodes that use the loader come before it: one pass that looks for it is not enough.
            first = [vae, own, *old] if samplers == 1 and taken else [vae, *old, *users, own]
            yield made.build(first), f"{made.words.pop()}.safetensors", strength

    def _insert(self, student: Student, *arguments: object) -> Graph:
        return call_on_graph(student, self.name, *arguments)

    def _require_node(self, found: Graph, graph: Graph, lora_name: str, strength: float) -> None:
        _require_text_ids(found)
        if isomorphic(found, _with_lora(graph, lora_name, strength)):
            return
        new = _new_lora(found, graph)
        if new in graph:
            raise WrongAnswer(
                f"{place(graph, new)} is lost: the LoraLoader took its id. Choose an id that is "
                "not in the graph yet, whatever ids the graph has"
            )
        links = {"model": [_loader(graph), 0], "clip": [_loader(graph), 1]}
        wanted = links | {"lora_name": lora_name}
        wanted |= {"strength_model": strength, "strength_clip": strength}
        inputs = found[new]["inputs"]
        for field, value in wanted.items():
            if field not in inputs:
                raise WrongAnswer(f"the LoraLoader lacks the input {field}")
            if not same(inputs[field], value):
                raise WrongAnswer(_about_input(field, inputs[field], value, new))
        if extra := inputs.keys() - wanted.keys():
            raise WrongAnswer(f"a LoraLoader has no input {min(extra)}")

    def _require_rewired(self, student: Student, draw: Draw, slot: int, kinds: str) -> None:
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
            raise WrongAnswer("there is more than one new node: add only the LoraLoader")
        for name, node in graph.items():
            if found[name]["class_type"] != node["class_type"]:
                raise WrongAnswer(f"{place(graph, name)} has another class_type now")
            before, now = node["inputs"], found[name]["inputs"]
            for field in before.keys() | now.keys():
                if before.get(field) in ([loader, 0], [loader, 1]):
                    continue  # must change; `model` and `clip` judge it
                if field not in before or not same(now.get(field), before[field]):
                    what = f"input {field} of {place(graph, name)}"
                    if before.get(field) == [loader, 2]:
                        raise WrongAnswer(
                            f"{what} must still come from the VAE of the loader: a LoraLoader "
                            "has only the outputs MODEL and CLIP, so leave the VAE as it was"
                        )
                    raise WrongAnswer(f"{what} has changed, but the LoRA does not affect it")


def _loader(graph: Graph) -> str:
    return next(name for name, node in graph.items() if node["class_type"] in LOADERS)


def _users(graph: Graph, link: list) -> list[tuple[str, str]]:
    """Return (node, input) for every input that takes this output."""
    return [(n, f) for n, node in graph.items() for f, v in node["inputs"].items() if v == link]


def _with_lora(graph: Graph, lora_name: str, strength: float) -> Graph:
    """Return the right answer, up to the id of the new node."""
    wanted, loader, new = deepcopy(graph), _loader(graph), "new"
    for slot in (0, 1):
        for name, field in _users(graph, [loader, slot]):
            wanted[name]["inputs"][field] = [new, slot]
    inputs = {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name}
    inputs |= {"strength_model": strength, "strength_clip": strength}
    wanted[new] = {"class_type": LORA, "inputs": inputs}
    return wanted


def _new_lora(found: Graph, graph: Graph) -> str:
    """Return the id of the LoraLoader that the graph did not have."""

    def is_old(name: str) -> bool:
        before, now = (one.get(name, {"class_type": ""}) for one in (graph, found))
        names = (one.get("inputs", {}).get("lora_name") for one in (now, before))
        return before["class_type"] == LORA and same(*names)

    new = [n for n, node in found.items() if node["class_type"] == LORA and not is_old(n)]
    if len(new) == 1:
        return new[0]
    if new:
        raise WrongAnswer(f"there are {len(new)} new LoraLoaders: add only one")
    added = [place(found, name) for name in found if name not in graph]
    instead = f"the new node is {added[0]}" if added else "there is no new node"
    raise WrongAnswer(f'add a node with the class_type "LoraLoader"; {instead}')


def _require_text_ids(found: Graph) -> None:
    for name, node in found.items():
        for field, value in node["inputs"].items():
            if is_link(value) and type(value[0]) is int:
                raise WrongAnswer(
                    f"input {field} of {place(found, name)} is linked to the number {value[0]}: "
                    f'ids are text, like the keys of the graph; use ["{value[0]}", {value[1]}]'
                )


def _about_input(field: str, value: object, wanted: object, new: str) -> str:
    """Return the hint for a wrong input of the new node."""
    if field == "lora_name":
        return "the LoraLoader's lora_name must be the argument lora_name"
    if not is_link(wanted):
        if type(value) in (int, float):
            return f"the LoraLoader's {field} must be the argument strength"
        return f"the LoraLoader's {field} must be a number, got {kind(value)}"
    if not is_link(value):
        return f"the LoraLoader's {field} must be a link, a list [id, output], got {kind(value)}"
    if str(value[0]) == new:
        return "the LoraLoader is linked to itself: link it to the loader"
    if str(value[0]) == wanted[0]:
        return "the output numbers are mixed up: a loader has MODEL (0), CLIP (1) and VAE (2)"
    return f"the LoraLoader's {field} must come directly from the loader"


def _about_link(link: object, old: list, wanted: list, what: str, kinds: str) -> str:
    """Return the hint for a link that should lead to the new node."""
    if same(link, old):
        return f"{what} still takes the {kinds} of the loader: rewire every input that used it"
    if not is_link(link):
        return f"{what} must be a link, a list [id, output], got {kind(link)}"
    if str(link[0]) == wanted[0]:
        return f"{what} takes the wrong output: a LoraLoader has MODEL (0) and CLIP (1)"
    return f"{what} must take the {kinds} of the LoraLoader"
