"""Weights on disk: safetensors with JSON metadata, written atomically and never unpickled."""

import errno
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import cache, wraps
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError

Config = TypeVar("Config")
Given = ParamSpec("Given")
Loaded = TypeVar("Loaded")
LARGEST = 10_000  # width or number of layers: more, from a file, would fill the memory
AGAIN = "delete it and train again"  # the remedy for a broken file in the cache
PACKAGED = Path(__file__).parent / "weights"


def save_weights(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and JSON metadata atomically: a kill leaves the old file or the new one.

    Raises MnistdiffError if the folder cannot be written.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(contiguous, dump_metadata(metadata)))


def dump_metadata(metadata: dict[str, Any]) -> dict[str, str]:
    """Return metadata as a safetensors header stores it."""
    return {"mnistdiff": json.dumps(metadata, sort_keys=True)}


def write_atomically(path: Path, payload: bytes) -> None:
    """Write bytes to a temporary file beside `path`, flush it to disk, and rename it.

    Raises MnistdiffError if that fails, or would replace a device or a pipe.
    """
    temporary = None
    try:
        _refuse_device(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp lets only the owner read it
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> MnistdiffError:
    return MnistdiffError(
        f"{path.parent} cannot be written ({error.strerror or error}). Free some space, fix "
        "its permissions, or choose another folder (MNISTDIFF_CACHE sets the cache's)."
    )


@contextmanager
def exclusive_lock(path: Path, waiting: str | None = "training it") -> Iterator[None]:
    """Let one process at a time create or change `path`; the others wait. A kill releases the lock.

    `waiting` tells them what the other process does; None waits without a message. Where file locks
    do not exist (Windows, some network drives), nobody waits. Raises MnistdiffError if the folder
    cannot be written.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    lock = path.with_suffix(".lock")
    while True:
        with _open_lock(lock) as file:
            with suppress(OSError):  # a drive without locks
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if waiting:
                        message = f"{path.stem}: another process is {waiting}; waiting."
                        print(message, file=sys.stderr)
                    fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_still_at(lock, file):  # its holder removed it: there may be a new one
                continue
            yield
            lock.unlink(missing_ok=True)
            return


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Yield whether this process alone works on `path`; never wait. A kill ends the claim.

    Where file locks do not exist, it is always True. Raises MnistdiffError if the folder cannot be
    written.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    lock, mine = path.with_suffix(".lock"), True
    with _open_lock(lock) as file:
        with suppress(OSError):  # a drive without locks
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                mine = False
        yield mine
        if mine:
            lock.unlink(missing_ok=True)


def _open_lock(lock: Path) -> IO[str]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return open(lock, "w")
    except OSError as error:
        raise _unwritable(lock, error) from error


def _is_still_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def check_writable(path: Path) -> None:
    """Raise MnistdiffError unless a file can be written at `path`; call it before hours of work."""
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        _refuse_device(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise MnistdiffError(
            f"{path} cannot be written ({error.strerror or error}); choose another file."
        ) from error


def _refuse_device(path: Path) -> None:
    """Raise OSError for a device or a pipe: a rename would replace /dev/null for everybody."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file")


def cache_and_copy(load: Callable[Given, Loaded]) -> Callable[Given, Loaded]:
    """Read a file once and give each caller a copy: networks and tensors can be changed."""
    cached = cache(load)

    @wraps(load)
    def copied(*args: Given.args, **kwargs: Given.kwargs) -> Loaded:
        return deepcopy(cached(*args, **kwargs))

    return copied


class Metadata(dict[str, Any]):
    """A file's metadata; looking up a missing key raises MnistdiffError."""

    def __init__(self, path: Path, entries: dict[str, Any]) -> None:
        super().__init__(entries)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise MnistdiffError(
            f"{self.path} lacks {key!r} in its metadata: it was cut short, or written by another "
            "program. Give another file, or make it again."
        )


def read_weights(
    path: Path, remedy: str = "give another file, or make it again"
) -> tuple[dict[str, Tensor], Metadata]:
    """Read tensors and metadata; `remedy` says what to do with a file that cannot be used.

    Raises MnistdiffError if the file is missing, corrupt, of another kind, or holds a number that
    is not finite; looking up a missing key of the metadata raises it too.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            entries = json.loads((file.metadata() or {}).get("mnistdiff", "{}"))
            if not isinstance(entries, dict):
                raise ValueError(f"its metadata is {entries!r:.40}, not an object")
            metadata = Metadata(path, entries)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise MnistdiffError(
            f"{path} does not exist. Check the name, or train the model first."
        ) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise MnistdiffError(
            f"{path} is not a readable safetensors file ({error}). It is corrupt or of another "
            f"kind: {remedy}."
        ) from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise MnistdiffError(
                f"{path} is corrupt, its tensor {name} contains NaN or infinity: {remedy}."
            )
    return tensors, metadata


def build_config(config: type[Config], entries: Any, origin: Path | str) -> Config:
    """Build a network's configuration from a file's metadata.

    Raises MnistdiffError if the entries do not fit `config` or a size is above LARGEST.
    """
    try:
        made = config(**entries)
        for name, value in entries.items():
            sizes = value if isinstance(value, list) else [value]
            if any(isinstance(size, int) and size > LARGEST for size in sizes):
                raise MnistdiffError(f"{name} is {value}; it must be at most {LARGEST:,}")
        return made
    except (TypeError, MnistdiffError) as error:
        raise MnistdiffError(
            f"{origin} does not describe a {config.__name__} that this version can build "
            f"({error}). It was written by another version or another program: train again."
        ) from error


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names start with the prefix, without it in their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def load_into(model: nn.Module, tensors: dict[str, Tensor], origin: Path | str) -> None:
    """Copy tensors into a model. Raises MnistdiffError if names or shapes differ."""
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
            state[name].copy_(tensor)  # converts half precision to float32
