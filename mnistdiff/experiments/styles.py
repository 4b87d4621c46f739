"""Handwriting styles (bold, thin, slanted), and measures that distinguish them."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mnistdiff.errors import MnistdiffError

SHEAR = 0.35  # columns to the right per row up


def bold(images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    """Thicken strokes by a pixel: each pixel becomes the brightest of its 2x2 neighbourhood."""
    return F.max_pool2d(F.pad(images, (0, 1, 0, 1)), 2, stride=1)


def thin(images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    """Thin strokes: go 3/4 of the way to the darkest of 2x2 pixels, then brighten by 30 %."""
    darkest = -F.max_pool2d(F.pad(-images, (0, 1, 0, 1)), 2, stride=1)
    return (1.3 * images.lerp(darkest, 0.75)).clamp(max=1)


def slanted(images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    """Shear the digits about their middle: the top leans to the right."""
    theta = torch.tensor([[1.0, SHEAR, 0.0], [0.0, 1.0, 0.0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


STYLES = {"bold": bold, "thin": thin, "slanted": slanted}


def stroke_width(images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, " n"]:
    """Return the stroke width in pixels: twice the ink divided by the outline.

    A stroke of length L and width w has ink L w and outline 2 L. The outline is the image's total
    variation.
    """
    ink = images.sum(dim=(1, 2, 3))
    down = F.pad(images, (0, 0, 0, 1)).diff(dim=2)
    across = F.pad(images, (0, 1, 0, 0)).diff(dim=3)
    outline = (down.square() + across.square()).sqrt().sum(dim=(1, 2, 3))
    return 2 * ink / outline.clamp(min=1e-6)


def slant(images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, " n"]:
    """Return the slant in columns to the right per row up: cov(x, y) / var(y), y upwards."""
    ink = images.flatten(1) / images.sum(dim=(1, 2, 3))[:, None].clamp(min=1e-6)
    rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    x, y = columns.flatten(), -rows.flatten()
    x = x - (ink * x).sum(dim=1, keepdim=True)
    y = y - (ink * y).sum(dim=1, keepdim=True)
    return (ink * x * y).sum(dim=1) / (ink * y * y).sum(dim=1).clamp(min=1e-6)


MEASURES = {"bold": stroke_width, "thin": stroke_width, "slanted": slant}


def apply_style(style: str, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    """Return the images in a style. Raises MnistdiffError for an unknown style."""
    if style not in STYLES:
        raise MnistdiffError(f"the style is {style!r}; it must be one of {', '.join(STYLES)}.")
    return STYLES[style](images)
