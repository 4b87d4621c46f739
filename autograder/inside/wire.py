"""Send values across the sandbox's border: JSON for the structure, safetensors for the numbers.

A frame is two lengths (4 bytes each), the JSON and the tensors. Both sides check the lengths before
they read, and never execute what arrives: pickle is not used.
"""

import functools
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load, save

from .stubs import Filled, Settings, Stub
from .student import Foreign, Handle

LENGTHS = struct.Struct("<II")
# Bytes of one frame's JSON, or of its tensors. Parsed JSON takes a hundred times its size.
LARGEST = 4 << 20
LARGEST_VALUE = 1 << 20  # of the result of a call
TAG = "~"
DEEPEST = 24  # levels of nesting, so that reading does not exhaust the stack


class BrokenFrame(Exception):
    """The other side is gone, or sent something other than a frame."""


def largest(op: str) -> int:
    """Return the bytes of the largest answer to a request: cells show more than calls return."""
    return LARGEST if op == "cell" else LARGEST_VALUE


def encode(value: Any, tensors: list[torch.Tensor]) -> Any:
    """Return the value as JSON; its tensors are appended to the list and named by their index."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor):
        dense = value.detach().to("cpu").contiguous().clone()
        tensors.append(dense)
        return {TAG: "tensor", "at": len(tensors) - 1}
    if isinstance(value, list):
        return [encode(item, tensors) for item in value]
    if isinstance(value, tuple):
        return {TAG: "tuple", "items": [encode(item, tensors) for item in value]}
    if isinstance(value, dict):
        return {TAG: "dict", "items": [[str(k), encode(v, tensors)] for k, v in value.items()]}
    if isinstance(value, Handle):
        return {TAG: "handle", "number": value.number}
    if isinstance(value, Foreign):
        return {TAG: "foreign", "name": value.type_name}
    if isinstance(value, Stub):
        return {TAG: "stub", "name": value.name, "weights": encode(value.weights, tensors)}
    if isinstance(value, Settings):
        return {TAG: "settings", "path": value.path, "values": encode(value.values, tensors)}
    if isinstance(value, Filled):
        return {TAG: "filled", "seed": value.seed, "given": encode(value.given, tensors)}
    raise TypeError(f"a {type(value).__name__} cannot cross the border")


def decode(value: Any, tensors: dict[str, torch.Tensor], depth: int = 0) -> Any:
    """Return the value that was encoded. Raises BrokenFrame if `encode` cannot have made it."""
    if type(value) is int and value.bit_length() > 63:
        return Foreign("int")  # too large for a float
    if not isinstance(value, (list, dict)):
        return value
    if depth > DEEPEST:
        raise BrokenFrame("values are nested too deeply")
    read = functools.partial(decode, tensors=tensors, depth=depth + 1)
    if isinstance(value, list):
        return [read(item) for item in value]
    try:
        match value[TAG]:
            case "tensor":
                return tensors[str(value["at"])]
            case "tuple":
                return tuple(read(item) for item in value["items"])
            case "dict":
                return {str(key): read(item) for key, item in value["items"]}
            case "handle":
                return Handle(int(value["number"]))
            case "foreign":
                return Foreign(str(value["name"]))
            case "stub":
                return Stub(str(value["name"]), **read(value["weights"]))
            case "settings":
                return Settings(str(value["path"]), **read(value["values"]))
            case "filled":
                return Filled(int(value["seed"]), read(value["given"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BrokenFrame(f"a value that cannot be read ({type(error).__name__})") from None
    raise BrokenFrame("a value of an unknown kind")


def send(channel: socket.socket, message: dict[str, Any], most: int = LARGEST) -> None:
    """Write one frame. Raises BrokenFrame if it is too large or the other side is gone."""
    tensors: list[torch.Tensor] = []
    text = json.dumps({key: encode(value, tensors) for key, value in message.items()}).encode()
    numbers = save({str(at): tensor for at, tensor in enumerate(tensors)}) if tensors else b""
    if max(len(text), len(numbers)) > most:
        raise BrokenFrame(f"a value of more than {most >> 20} MB")
    try:
        channel.sendall(LENGTHS.pack(len(text), len(numbers)) + text + numbers)
    except OSError as error:
        raise BrokenFrame(f"the other side is gone ({type(error).__name__})") from None


def receive(
    channel: socket.socket, look: Callable[[], None] = lambda: None, most: int = LARGEST
) -> dict[str, Any]:
    """Read one frame. Raises BrokenFrame if what arrives is not a frame.

    `look` is called repeatedly, also while nothing arrives within the channel's timeout.
    """
    sizes = LENGTHS.unpack(_exactly(channel, LENGTHS.size, look))
    if max(sizes) > most:
        raise BrokenFrame(f"a frame of {max(sizes)} bytes")
    text, numbers = (_exactly(channel, size, look) for size in sizes)
    try:
        tensors = load(numbers) if numbers else {}
        message = json.loads(text)
        return {str(key): decode(value, tensors) for key, value in message.items()}
    except BrokenFrame:
        raise
    except Exception as error:  # safetensors raises its own errors
        raise BrokenFrame(f"a frame that cannot be read ({type(error).__name__})") from None


def _exactly(channel: socket.socket, size: int, look: Callable[[], None]) -> bytes:
    parts, missing = [], size
    while missing:
        look()
        try:
            part = channel.recv(min(missing, 1 << 20))
        except TimeoutError:
            continue
        except OSError as error:
            raise BrokenFrame(f"the other side is gone ({type(error).__name__})") from None
        if not part:
            raise BrokenFrame("the other side is gone")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
