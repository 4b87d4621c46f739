"""Weights on disk: safetensors with JSON metadata, written whole or not at all, never unpickled."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError

PACKAGED = Path(__file__).parent / "weights"


def save_weights(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and JSON metadata atomically: a kill leaves the old file or the new one.

    Raises MnistdiffError when the folder cannot be written.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    payload = save(contiguous, {"mnistdiff": json.dumps(metadata, sort_keys=True)})
    write_atomically(path, payload)


def write_atomically(path: Path, payload: bytes) -> None:
    """Write bytes to a temporary file beside `path`, flush it to disk, and rename it."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it private
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise MnistdiffError(
            f"{path.parent} cannot be written ({error.strerror or error}). Free some space, fix "
            "its permissions, or choose another folder (the cache's is MNISTDIFF_CACHE)."
        ) from error


def check_writable(path: Path) -> None:
    """Raise MnistdiffError unless a file could be written at `path`: before hours of work."""
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise MnistdiffError(
            f"{path} cannot be written ({error.strerror or error}); choose another file."
        ) from error


class Metadata(dict[str, Any]):
    """A file's metadata: asked for a key that it lacks, it says so in words."""

    def __init__(self, path: Path, entries: dict[str, Any]) -> None:
        super().__init__(entries)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise MnistdiffError(
            f"{self.path} does not tell {key!r} in its metadata: it was cut short, or made by "
            "something else. Delete it and train again, or install the package anew."
        )


def read_weights(path: Path) -> tuple[dict[str, Tensor], Metadata]:
    """Read tensors and metadata. Raises MnistdiffError for a missing, corrupt or foreign file.

    So does looking up metadata that the file lacks.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = Metadata(path, json.loads((file.metadata() or {}).get("mnistdiff", "{}")))
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except FileNotFoundError as error:
        raise MnistdiffError(f"{path} does not exist. Train the model first.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise MnistdiffError(
            f"{path} is no readable safetensors file ({error}). It is corrupt or something else: "
            "delete it and train again."
        ) from error


def load_into(model: nn.Module, tensors: dict[str, Tensor], origin: Path | str) -> None:
    """Copy tensors into a model. Raises MnistdiffError where names or shapes differ."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise MnistdiffError(
            f"{origin} holds another architecture: {name} is {found.get(name, 'absent')} there, "
            f"and this {type(model).__name__} expects {expected.get(name, 'no such tensor')} "
            f"({len(wrong)} tensors differ). Build the model with the configuration it was "
            "trained with, or train again."
        )
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            state[name].copy_(tensor)  # half-precision files widen here
