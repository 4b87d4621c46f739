"""Digits as picture files."""

import io
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.weights import write_atomically

FORMATS = (".png", ".gif", ".bmp", ".webp")  # without loss: a seed is one picture


def save_grid(path: Path, images: Float[Tensor, "n 1 28 28"], columns: int, scale: int = 1) -> None:
    """Write images in [0, 1] side by side, `columns` in a row, each pixel `scale` pixels wide.

    Raises MnistdiffError for another file format or a scale below 1.
    """
    from PIL import Image

    if path.suffix.lower() not in FORMATS:
        raise MnistdiffError(f"{path} ends in none of {', '.join(FORMATS)}; name the file so.")
    if scale < 1:
        raise MnistdiffError(f"scale is {scale}; it must be a whole number >= 1.")
    rows = len(images) // columns
    levels = (images.clamp(0, 1) * 255).round().byte()
    sheet = levels.reshape(rows, columns, 28, 28).transpose(1, 2).reshape(rows * 28, columns * 28)
    picture = Image.fromarray(sheet.numpy(), mode="L")
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, format=path.suffix[1:].upper())
    write_atomically(path, buffer.getvalue())
