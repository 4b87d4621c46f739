"""Digits as picture files."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.storage import write_atomically

FORMATS = (".png", ".gif", ".bmp", ".webp")  # lossless: a seed is one picture
OPTIONS = {"lossless": True}  # for .webp; the other formats ignore it
LARGEST = 100_000_000  # pixels
OUTPUT_TYPES = ("pt", "np", "pil")


def read_grey(file: Any) -> Float[Tensor, "1 1 h w"]:
    """Read a picture, a path or an open file, as grey in [0, 1]. Raises OSError if unreadable."""
    import numpy as np
    from PIL import Image

    with Image.open(file) as picture:
        return torch.from_numpy(np.array(picture.convert("L")))[None, None].float() / 255


def convert_images(images: Float[Tensor, "n 1 28 28"], output_type: str) -> Any:
    """Return images in [0, 1] as in diffusers: "pt", "np" or "pil".

    "pt" is the tensor itself, "np" a float32 array (N, 28, 28, 1), "pil" a list of grey pictures.
    Raises MnistdiffError for another output type.
    """
    if output_type == "pt":
        return images
    if output_type not in OUTPUT_TYPES:
        raise MnistdiffError(
            f"output_type is {output_type!r}; it must be one of {', '.join(OUTPUT_TYPES)}."
        )
    array = images.permute(0, 2, 3, 1).float().cpu().numpy()
    if output_type == "np":
        return array
    from PIL import Image

    return [Image.fromarray(a, mode="L") for a in (array[..., 0] * 255).round().astype("uint8")]


def save_grid(
    path: Path,
    images: Float[Tensor, "n 1 h w"],
    columns: int,
    scale: int = 1,
    text: Mapping[str, str] | None = None,
) -> None:
    """Write images in [0, 1] side by side, `columns` in a row, each pixel `scale` pixels wide.

    A PNG also keeps `text`, keywords with their texts.

    Raises MnistdiffError as `check_grid`, and if rows are not full or images hold NaN.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    path = Path(path)
    check_grid(path, len(images), scale)
    if not isinstance(columns, int) or columns < 1 or not len(images) or len(images) % columns:
        raise MnistdiffError(
            f"{len(images)} images do not fill rows of {columns!r}; give at least one image, and "
            "a number of columns that divides the number of images."
        )
    if not images.isfinite().all():
        raise MnistdiffError(
            "the images hold NaN or infinity: the network has diverged, or the guidance or a "
            "LoRA's strength is too large."
        )
    rows = len(images) // columns
    levels = (images.float().cpu().clamp(0, 1) * 255).round().byte()
    height, width = images.shape[-2:]
    sheet = levels.reshape(rows, columns, height, width).transpose(1, 2)
    sheet = sheet.reshape(rows * height, columns * width)
    picture = Image.fromarray(sheet.numpy(), mode="L")
    picture = picture.resize(
        (picture.width * scale, picture.height * scale), Image.Resampling.NEAREST
    )
    chunks = PngInfo()
    for keyword, content in (text or {}).items():
        chunks.add_text(keyword, content)
    buffer = io.BytesIO()
    try:  # a format ignores the options of another
        picture.save(buffer, format=path.suffix[1:].upper(), pnginfo=chunks, **OPTIONS)
    except ValueError as error:  # each format has its own largest side
        raise MnistdiffError(
            f"{path.suffix} cannot store this picture ({error}); use .png for {path}."
        ) from error
    write_atomically(path, buffer.getvalue())


def check_grid(path: Path, n: int, scale: int = 1) -> None:
    """Raise MnistdiffError unless `save_grid` can write n digits to path; call it first.

    It refuses an unknown file format, a scale below 1, and more pixels than LARGEST.
    """
    if path.suffix.lower() not in FORMATS:
        raise MnistdiffError(f"{path} must end in one of {', '.join(FORMATS)}.")
    if not isinstance(scale, int) or scale < 1:
        raise MnistdiffError(f"scale is {scale}; it must be a whole number >= 1.")
    if (pixels := n * (28 * scale) ** 2) > LARGEST:
        raise MnistdiffError(
            f"{n} digits at scale {scale} make a picture of {pixels:,} pixels; the limit is "
            f"{LARGEST:,}. Choose a smaller scale, or fewer digits."
        )
