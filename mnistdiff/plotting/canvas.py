"""Parts shared by all figures: colours, style, and grids of digits.

The colours are the Okabe-Ito set, safe for colour-blind readers. The opaque, near-white background
keeps a figure readable on light and on dark pages.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#555555"
DIGIT_COLOURS = (
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933",
    "#DDCC77", "#CC6677", "#882255", "#AA4499", "#777777",
)  # fmt: skip


DIGIT_MARKERS = "os^vD<>pP*"
STYLE: dict[Any, Any] = {  # the stubs of matplotlib have a type of their own for the keys
    "figure.facecolor": "#FCFCFA",
    "axes.facecolor": "#FCFCFA",
    "savefig.facecolor": "#FCFCFA",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "font.size": 10,
    "legend.frameon": False,
    "figure.dpi": 110,
}


GAP = 2  # pixels between digits of a grid


def new_figure(rows: int, columns: int, size: tuple[float, float]) -> tuple["Figure", np.ndarray]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(size, layout="constrained")  # not in pyplot: shown once, not kept alive
        return figure, figure.subplots(rows, columns, squeeze=False)


def tile(images: Float[Tensor, "n 1 28 28"], columns: int) -> np.ndarray:
    """Return a grid of digits as one array (rows * 30 - 2, columns * 30 - 2), gaps white."""
    n = len(images)
    rows = -(-n // columns)
    cell = 28 + GAP
    canvas = np.ones((rows * cell - GAP, columns * cell - GAP), dtype=np.float32)
    for index, image in enumerate(images[:, 0].numpy()):
        top, left = index // columns * cell, index % columns * cell
        canvas[top : top + 28, left : left + 28] = image
    return canvas


def show_picture(axes: "Axes", picture: np.ndarray, title: str | None = None) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    if title is not None:
        axes.set_title(title)


def plot_digits(
    images: Float[Tensor, "n 1 28 28"], columns: int = 10, title: str | None = None
) -> "Figure":
    """Show digits in a grid."""
    rows = -(-len(images) // columns)
    figure, axes = new_figure(1, 1, (0.6 * columns, 0.6 * rows + 0.3 * (title is not None)))
    show_picture(axes[0, 0], tile(images, columns), title)
    return figure
