"""Figures of CLIP: similarities of prompts and digits, and retrieval in both directions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mnistdiff.plotting.canvas import (
    DIGIT_COLOURS,
    DIGIT_MARKERS,
    GAP,
    GREY,
    new_figure,
    show_picture,
    tile,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 28 + GAP


def plot_similarity(
    matrices: dict[str, Float[Tensor, "10 10"]], names: Sequence[str], limits: tuple[float, float]
) -> "Figure":
    """Show the cosine of each named prompt (row) with each digit's mean embedding (column)."""
    figure, axes = new_figure(1, len(matrices), (3.5 * len(matrices) + 1.2, 3.7))
    for ax, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        shown = ax.imshow(matrix.numpy(), cmap="cividis", vmin=limits[0], vmax=limits[1])
        for (row, column), value in _entries(matrix):
            light = value < sum(limits) / 2
            text = f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")
            ax.text(column, row, text, ha="center", va="center", fontsize=7, color=_ink(light))
        ax.set(title=title, xticks=range(10), xlabel="images of the digit")
        ax.set_yticks(range(10), names if ax is axes[0, 0] else [""] * 10)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axes[0, -1], label="cosine", shrink=0.8)
    return figure


def _entries(matrix: Float[Tensor, "r c"]) -> list[tuple[tuple[int, int], float]]:
    rows, columns = matrix.shape
    return [((r, c), float(matrix[r, c])) for r in range(rows) for c in range(columns)]


def _ink(light: bool) -> str:
    return "white" if light else "black"


def plot_prompts_of_images(
    images: Float[Tensor, "n 1 28 28"], captions: Sequence[str], columns: int = 2
) -> "Figure":
    """Show digits, each with its caption (of one or more lines) beside it."""
    rows = -(-len(images) // columns)
    figure, axes = new_figure(rows, columns, (4.5 * columns, 0.95 * rows))
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, caption in zip(axes.T.flat, images, captions, strict=False):
        show_picture(ax, image[0].numpy())
        ax.set_anchor("W")
        ax.text(1.1, 0.5, caption, transform=ax.transAxes, va="center", fontsize=9)
    return figure


def plot_images_of_prompts(prompts: Sequence[str], found: Float[Tensor, "p n 1 28 28"]) -> "Figure":
    """Show one row per prompt: its nearest images, the nearest first."""
    count, n = found.shape[:2]
    figure, axes = new_figure(1, 1, (0.5 * n + 3.2, 0.5 * count + 0.2))
    show_picture(axes[0, 0], tile(found.flatten(0, 1), n))
    for row, prompt in enumerate(prompts):
        axes[0, 0].text(-6, row * CELL + 14, prompt, ha="right", va="center", fontsize=9)
    return figure


class Map:
    """A projection on principal components, fitted to the embeddings that it is built with."""

    def __init__(self, embeddings: Float[Tensor, "n e"], count: int = 4) -> None:
        self.mean = embeddings.mean(dim=0)
        _, values, axes = torch.linalg.svd(embeddings - self.mean, full_matrices=False)
        self.axes, self.shares = axes[:count].T, values.square()[:count] / values.square().sum()

    def __call__(self, embeddings: Float[Tensor, "n e"]) -> Float[Tensor, "n count"]:
        return (embeddings - self.mean) @ self.axes


def plot_map(
    images: tuple[Float[Tensor, "n e"], Int[Tensor, " n"]],
    texts: tuple[Float[Tensor, "m e"], Int[Tensor, " m"]],
) -> "Figure":
    """Plot the embeddings of images and texts on their common principal components."""
    from matplotlib.patheffects import withStroke

    project = Map(torch.cat([images[0], texts[0]]))
    figure, axes = new_figure(1, 2, (9.4, 4.3))
    for ax, first in zip(axes[0], (0, 2), strict=True):
        _scatter(ax, project(images[0])[:, first : first + 2], images[1], 11)
        points = project(texts[0])[:, first : first + 2]
        _scatter(ax, points, texts[1], 48, edgecolors="black", linewidths=0.6)
        for digit in range(10):
            x, y = points[texts[1] == digit].mean(dim=0)
            name = ax.text(x, y + 0.07, str(digit), ha="center", weight="bold", fontsize=12)
            name.set_path_effects([withStroke(linewidth=3, foreground="white")])
        names = [f"component {i + 1} ({project.shares[i]:.0%})" for i in (first, first + 1)]
        ax.set(xlabel=names[0], ylabel=names[1])
        ax.axhline(0, color=GREY, lw=0.4)
        ax.axvline(0, color=GREY, lw=0.4)
    return figure


def _scatter(
    ax: "Axes", points: Float[Tensor, "n 2"], labels: Int[Tensor, " n"], size: float, **style
) -> None:
    style = {"linewidths": 0, **style}
    for digit in range(10):
        mine = points[labels == digit]
        colour, marker = DIGIT_COLOURS[digit], DIGIT_MARKERS[digit]
        alpha = 1.0 if "edgecolors" in style else 0.6
        ax.scatter(*mine.T, s=size, alpha=alpha, color=colour, marker=marker, **style)
