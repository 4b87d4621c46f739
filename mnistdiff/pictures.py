"""Digits as picture files."""

import io
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.weights import write_atomically

FORMATS = (".png", ".gif", ".bmp", ".webp")  # without loss: a seed is one picture


def read_grey(file: Any) -> Float[Tensor, "1 1 h w"]:
    """A picture file, or an open one, as grey in [0, 1]. Raises OSError for what is none."""
    import numpy as np
    from PIL import Image

    with Image.open(file) as picture:
        return torch.from_numpy(np.array(picture.convert("L")))[None, None].float() / 255


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
