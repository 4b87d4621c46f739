"""ComfyUI's API-format graphs: the known nodes, and checks that name the node and the input."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from mnistdiff.errors import MnistdiffError
from mnistdiff.pipeline import LORAS, NAME

Graph = dict[str, dict[str, Any]]
COMFYUI_SAMPLERS = ("ddim", "euler", "ddpm", "dpmpp_2m")
SCHEDULERS = ("simple", "ddim_uniform")  # those whose steps are timesteps of our schedule
SCALING = ("nearest-exact", "bilinear", "area", "bicubic")  # those that torch has
MAX_SIDE = 16_384  # pixels
SEED_COUNT = 2**64


@dataclass(frozen=True)
class Input:
    """A node's input: "INT", "FLOAT", "STRING" or "CHOICE", otherwise the type of a link."""

    kind: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """The inputs and outputs of a node, as in ComfyUI's /object_info."""

    inputs: dict[str, Input]
    outputs: tuple[str, ...]


def lora_names() -> tuple[str, ...]:
    """Return the file names of the shipped LoRAs, as the stock loader lists them."""
    return tuple(path.name for path in sorted(LORAS.glob("*.safetensors")))


def nodes() -> dict[str, Node]:
    """Return the nodes that run without ComfyUI: ours and thirteen of the stock ones."""
    link, text = Input, Input("STRING")
    conditioning, share = link("CONDITIONING"), Input("FLOAT", 0, 1)
    side, batch = Input("INT", 16, MAX_SIDE), Input("INT", 1, 4_096)
    strength = Input("FLOAT", -100, 100)
    sampler = {
        "model": link("MODEL"),
        "seed": Input("INT", 0, SEED_COUNT - 1),
        "steps": Input("INT", 1, 10_000),
        "cfg": Input("FLOAT", 0, 100),
        "sampler_name": Input("CHOICE", choices=COMFYUI_SAMPLERS),
        "scheduler": Input("CHOICE", choices=SCHEDULERS),
        "positive": link("CONDITIONING"),
        "negative": link("CONDITIONING"),
        "latent_image": link("LATENT"),
        "denoise": Input("FLOAT", 0, 1),
    }
    lora = {
        "model": link("MODEL"),
        "clip": link("CLIP"),
        "lora_name": Input("CHOICE", choices=lora_names()),
        "strength_model": strength,
        "strength_clip": strength,
    }
    model_only = {k: v for k, v in lora.items() if k not in ("clip", "strength_clip")}
    enlarged = Input("INT", 1, MAX_SIDE)
    scale = {
        "image": link("IMAGE"),
        "upscale_method": Input("CHOICE", choices=SCALING),
        "width": enlarged,
        "height": enlarged,
        "crop": Input("CHOICE", choices=("disabled",)),
    }
    encoder = {"pixels": link("IMAGE"), "vae": link("VAE")}
    return {
        "MnistdiffLoader": Node(
            {"model_name": Input("CHOICE", choices=(NAME,))}, ("MODEL", "CLIP", "VAE")
        ),
        "LoraLoader": Node(lora, ("MODEL", "CLIP")),
        "LoraLoaderModelOnly": Node(model_only, ("MODEL",)),
        "CLIPTextEncode": Node({"text": text, "clip": link("CLIP")}, ("CONDITIONING",)),
        "ConditioningSetTimestepRange": Node(
            {"conditioning": conditioning, "start": share, "end": share}, ("CONDITIONING",)
        ),
        "ConditioningCombine": Node(
            {"conditioning_1": conditioning, "conditioning_2": conditioning}, ("CONDITIONING",)
        ),
        "EmptyLatentImage": Node({"width": side, "height": side, "batch_size": batch}, ("LATENT",)),
        "KSampler": Node(sampler, ("LATENT",)),
        "VAEDecode": Node({"samples": link("LATENT"), "vae": link("VAE")}, ("IMAGE",)),
        "VAEEncode": Node(encoder, ("LATENT",)),
        "ImageScale": Node(scale, ("IMAGE",)),
        "LoadImage": Node({"image": text}, ("IMAGE", "MASK")),
        "SaveImage": Node({"images": link("IMAGE"), "filename_prefix": text}, ()),
        "PreviewImage": Node({"images": link("IMAGE")}, ()),
    }


OUTPUT_NODES = ("SaveImage", "PreviewImage")


def as_graph(workflow: Any) -> Graph:
    """Return a workflow as an API-format graph, also from the body of a request to /prompt.

    Raises MnistdiffError if a node's id, class_type or inputs are missing or of a wrong type.
    """
    wrapped = isinstance(workflow, dict) and isinstance(workflow.get("prompt"), dict)
    graph = workflow["prompt"] if wrapped and "class_type" not in workflow["prompt"] else workflow
    if not isinstance(graph, dict) or not all(isinstance(node, dict) for node in graph.values()):
        raise MnistdiffError("the workflow is not an API-format graph, {id: node, ...}.")
    for name, node in graph.items():
        if not isinstance(name, str):
            raise MnistdiffError(f"node {name!r}: the id of a node must be a string.")
        if not isinstance(node.get("class_type"), str):
            raise MnistdiffError(
                f"node {name}: it has no class_type, the name of the node as a string, such as "
                '"KSampler".'
            )
        if not isinstance(node.get("inputs"), dict):
            raise MnistdiffError(f"{describe_node(graph, name)}: it has no inputs.")
    return graph


def with_inputs(graph: Graph, name: str, **inputs: Any) -> Graph:
    """Return a copy with other inputs of one node. Raises MnistdiffError if it has no such node."""
    if name not in graph:
        raise MnistdiffError(f"there is no node {name!r}; the workflow has {', '.join(graph)}.")
    copy = deepcopy(graph)
    copy[name]["inputs"].update(inputs)
    return copy


def is_link(value: Any) -> bool:
    """Return whether an input's value is a link, [node, output]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)


def describe_node(graph: Graph, name: str) -> str:
    """Return a node's number and type for a message."""
    return f"node {name} ({graph[name].get('class_type')})"


def check_graph(graph: Graph) -> list[str]:
    """Return the nodes that the outputs need, in execution order.

    Raises MnistdiffError, naming node and input, if the graph cannot run: an unknown node or
    output, a link of the wrong type, a missing input, a value out of range, a cycle, no output.
    """
    check_wiring(graph)
    known = nodes()
    for name, node in graph.items():
        if node["class_type"] not in known:
            raise MnistdiffError(
                f"{describe_node(graph, name)}: there is no such node here; without ComfyUI only "
                f"{', '.join(known)} run. Give `server=` the address of a ComfyUI that has it."
            )
        for problem in _wrong_inputs(graph, name, known):
            raise MnistdiffError(f"{describe_node(graph, name)}, {problem}")
    outputs = [name for name, node in graph.items() if node["class_type"] in OUTPUT_NODES]
    if not outputs:
        raise MnistdiffError(f"the workflow has no output: add {' or '.join(OUTPUT_NODES)}.")
    return _execution_order(graph, outputs)


def check_wiring(graph: Graph) -> None:
    """Raise MnistdiffError for errors that do not depend on the nodes of a ComfyUI.

    These are a wrong format, a link to a missing node or output, and a cycle. Nodes that no output
    needs are checked too, although ComfyUI ignores them.
    """
    known = nodes()
    for name, node in graph.items():
        for field, value in node["inputs"].items():
            for problem in _broken_link(graph, value, field, known) if is_link(value) else ():
                raise MnistdiffError(f"{describe_node(graph, name)}, {problem}")
    _execution_order(graph, list(graph))


def _broken_link(graph: Graph, link: list, field: str, known: dict[str, Node]) -> Iterator[str]:
    source, slot = link
    if source not in graph:
        hint = "" if isinstance(source, str) else " (a node's number must be a string)"
        yield f"input {field}: it is linked to node {source}, which does not exist{hint}."
        return
    node = known.get(graph[source]["class_type"])  # None: a node that only the server may know
    if not isinstance(slot, int) or slot < 0 or (node and slot >= len(node.outputs)):
        yield f"input {field}: {describe_node(graph, source)} has no output {slot!r}."


def _wrong_inputs(graph: Graph, name: str, known: dict[str, Node]) -> Iterator[str]:
    node = graph[name]
    for field, wanted in known[node["class_type"]].inputs.items():
        if field not in node["inputs"]:
            yield f"input {field}: it is missing."
        elif is_link(node["inputs"][field]):
            yield from _wrong_link(graph, node["inputs"][field], field, wanted, known)
        else:
            yield from _wrong_value(node["inputs"][field], field, wanted)


def _wrong_link(
    graph: Graph, link: list, field: str, wanted: Input, known: dict[str, Node]
) -> Iterator[str]:
    source, slot = link
    outputs = known.get(graph[source]["class_type"], Node({}, ())).outputs
    if outputs and outputs[slot] != wanted.kind:
        yield (
            f"input {field}: it needs {wanted.kind}, but output {slot} of "
            f"{describe_node(graph, source)} is {outputs[slot]}."
        )


def _wrong_value(value: Any, field: str, wanted: Input) -> Iterator[str]:
    if wanted.kind == "CHOICE":
        if value not in wanted.choices:
            yield f"input {field}: {value!r} is not one of {', '.join(wanted.choices)}."
    elif wanted.kind == "STRING":
        if not isinstance(value, str):
            yield f"input {field}: {value!r} is not a string."
    elif wanted.kind in ("INT", "FLOAT"):
        whole = isinstance(value, int) and not isinstance(value, bool)
        number = whole or (wanted.kind == "FLOAT" and isinstance(value, float))
        assert wanted.low is not None
        assert wanted.high is not None
        if not number or not wanted.low <= value <= wanted.high:
            kind = "a whole number" if wanted.kind == "INT" else "a number"
            yield (f"input {field}: {value!r} must be {kind} from {wanted.low} to {wanted.high}.")
    else:
        yield f"input {field}: it needs a link to {wanted.kind}, not {value!r}."


def _execution_order(graph: Graph, outputs: list[str]) -> list[str]:
    """Return the nodes that these outputs need, each after the nodes it is linked to."""
    done: dict[str, None] = {}
    path: dict[str, None] = {}  # from an output to the current node
    waiting = list(reversed(outputs))
    while waiting:
        name = waiting[-1]
        if name in done or name in path:  # in `path`: everything it needs is done
            path.pop(name, None)
            done[waiting.pop()] = None
            continue
        path[name] = None
        links = [value[0] for value in graph[name]["inputs"].values() if is_link(value)]
        for source in reversed(links):
            if source in path:
                cycle = " -> ".join([*list(path)[list(path).index(source) :], source])
                raise MnistdiffError(
                    f"{describe_node(graph, source)}: the links form a cycle ({cycle})."
                )
            waiting.append(source)
    return list(done)
