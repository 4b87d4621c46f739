"""The figures of the notebooks and the book: each function returns a matplotlib Figure.

Colours are the Okabe-Ito set (safe for colour-blind readers); the background is an opaque
near-white card, so that a figure reads alike on a light and on a dark page.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.data import Digits
from mnistdiff.vae import VAE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mnistdiff.experiments import VAERun

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#555555"
DIGIT_COLOURS = (
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933",
    "#DDCC77", "#CC6677", "#882255", "#AA4499", "#777777",
)  # fmt: skip
DIGIT_MARKERS = "os^vD<>pP*"
STYLE = {
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


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple["Figure", np.ndarray]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(size, layout="constrained")  # outside pyplot: shown once, never leaked
        return figure, figure.subplots(rows, columns, squeeze=False)


def tile(images: Float[Tensor, "n 1 28 28"], columns: int) -> np.ndarray:
    """One picture of a grid of digits, (rows * 30, columns * 30), white where there is none."""
    n = len(images)
    rows = -(-n // columns)
    cell = 28 + GAP
    canvas = np.ones((rows * cell - GAP, columns * cell - GAP), dtype=np.float32)
    for index, image in enumerate(images[:, 0].numpy()):
        top, left = index // columns * cell, index % columns * cell
        canvas[top : top + 28, left : left + 28] = image
    return canvas


def _show(axes: "Axes", picture: np.ndarray, title: str | None = None) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    if title is not None:
        axes.set_title(title)


def plot_digits(
    images: Float[Tensor, "n 1 28 28"], columns: int = 10, title: str | None = None
) -> "Figure":
    """A grid of digits."""
    rows = -(-len(images) // columns)
    figure, axes = _figure(1, 1, (0.6 * columns, 0.6 * rows + 0.3 * (title is not None)))
    _show(axes[0, 0], tile(images, columns), title)
    return figure


def plot_sweep(
    runs: Sequence["VAERun"], test_images: Float[Tensor, "n 1 28 28"], key: str, side: int = 5
) -> "Figure":
    """Per run a grid of reconstructions above a grid of prior samples; real digits first."""
    from mnistdiff.experiments import SAMPLE_SEED, reconstruct, sample_prior

    chosen = test_images[: side * side]
    figure, axes = _figure(2, len(runs) + 1, (1.5 * (len(runs) + 1), 3.5))
    _show(axes[0, 0], tile(chosen, side), "real")
    axes[1, 0].set_axis_off()
    for column, run in enumerate(runs, start=1):
        generator = torch.Generator().manual_seed(SAMPLE_SEED)
        title = f"{_SYMBOL[key]} = {run.row[key]:g}"
        _show(axes[0, column], tile(reconstruct(run.model, chosen), side), title)
        _show(axes[1, column], tile(sample_prior(run.model, side * side, generator), side))
    for row, name in enumerate(("reconstructions", "prior samples")):
        axes[row, 1].text(
            -0.06, 0.5, name, rotation=90, transform=axes[row, 1].transAxes, ha="right", va="center"
        )
    return figure


_SYMBOL = {"beta": "β", "latent_dim": "D"}
_AXIS = {"beta": "β (weight of the KL term)", "latent_dim": "latent dimension D"}


def plot_loss_trade_off(
    runs: Sequence["VAERun"], key: str, report: dict[float, dict[str, float]]
) -> "Figure":
    """Reconstruction loss and KL against beta or latent dimension, ours beside the report's."""
    figure, axes = _figure(1, 2, (8.0, 3.2))
    values = [run.row[key] for run in runs]
    for ax, name, colour in zip(axes[0], ("recon", "kl"), (BLUE, ORANGE), strict=True):
        ax.plot(values, [run.row[name] for run in runs], "o-", color=colour, label="ours")
        theirs = [entry[name] for entry in report.values()]
        ax.plot(list(report), theirs, "s--", color=GREY, mfc="none", label="report")
        ax.set(xscale="log", xlabel=_AXIS[key])
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False)
    axes[0, 0].set_title("reconstruction loss (squared error per image)")
    axes[0, 1].set_title("KL (nats per image)")
    return figure


def plot_history(runs: Sequence["VAERun"], labels: Sequence[str] | None = None) -> "Figure":
    """Total training loss per epoch."""
    figure, axes = _figure(1, 1, (6.0, 3.2))
    styles = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"))
    for index, run in enumerate(runs):
        colour, line = styles[index % len(styles)]
        epochs = [entry["epoch"] for entry in run.history]
        totals = [entry["total"] for entry in run.history]
        label = labels[index] if labels else f"β = {run.row['beta']:g}"
        axes[0, 0].plot(epochs, totals, line, color=colour, label=label)
    axes[0, 0].set(xlabel="epoch", ylabel="total training loss")
    axes[0, 0].legend(frameon=False)
    return figure


def plot_sample_pair(run_a: "VAERun", run_b: "VAERun", side: int = 8) -> "Figure":
    """Prior samples of two runs from the same latent draws, side by side (Figure 2)."""
    from mnistdiff.experiments import SAMPLE_SEED, sample_prior

    figure, axes = _figure(1, 2, (7.0, 3.8))
    for ax, run in zip(axes[0], (run_a, run_b), strict=True):
        generator = torch.Generator().manual_seed(SAMPLE_SEED)
        title = f"{run.row['epochs']} epochs, total loss {run.row['total']:.2f}"
        _show(ax, tile(sample_prior(run.model, side * side, generator), side), title)
    return figure


@torch.inference_mode()
def plot_latent_map(model: VAE, digits: Digits, side: int = 18, reach: float = 2.4) -> "Figure":
    """A 2-D latent space: where the test digits lie, and what each place decodes to."""
    mu, _ = model.encode(digits.images)
    figure, axes = _figure(1, 2, (9.0, 4.4))
    for digit in range(10):
        members = mu[digits.labels == digit]
        axes[0, 0].scatter(
            members[:, 0],
            members[:, 1],
            s=12,
            alpha=0.75,
            color=DIGIT_COLOURS[digit],
            marker=DIGIT_MARKERS[digit],
            linewidths=0,
            label=str(digit),
        )
    axes[0, 0].legend(frameon=False, ncols=2, markerscale=1.6, handletextpad=0.1, columnspacing=0.6)
    axes[0, 0].set(xlabel="$z_1$", ylabel="$z_2$", title="test digits, posterior mean")
    line = torch.linspace(-reach, reach, side)
    z = torch.stack(torch.meshgrid(line.flip(0), line, indexing="ij"), dim=-1).reshape(-1, 2)
    _show(axes[0, 1], tile(model.decode(z.flip(1)), side), f"decoded, −{reach} to {reach}")
    return figure


@torch.inference_mode()
def plot_traversal(
    model: VAE, image: Float[Tensor, "1 1 28 28"], rows: int = 6, columns: int = 11
) -> "Figure":
    """One digit, its most informative latent dimensions moved from -3 to 3 one at a time."""
    from mnistdiff.metrics import kl_per_dimension

    mu, logvar = model.encode(image)
    order = kl_per_dimension(mu, logvar).argsort(descending=True)[:rows]
    line = torch.linspace(-3, 3, columns)
    z = mu.repeat(len(order) * columns, 1)
    for row, dimension in enumerate(order):
        z[row * columns : (row + 1) * columns, dimension] = line
    figure, axes = _figure(1, 1, (0.6 * columns, 0.6 * len(order) + 0.6))
    _show(axes[0, 0], tile(model.decode(z), columns), "each row: one latent dimension, −3 to 3")
    return figure


def plot_points(clouds: Mapping[str, Float[Tensor, "n 2"]]) -> "Figure":
    """Clouds of points in a two-dimensional latent space, by label."""
    figure, ((axes,),) = _figure(1, 1, (6, 3))
    for marker, (label, points) in zip(DIGIT_MARKERS, clouds.items(), strict=False):
        axes.plot(*points.T, marker, markersize=3, alpha=0.6, label=label)
    axes.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_kl_per_dimension(
    kl: dict[str, Float[Tensor, " d"]], threshold: float | None = None
) -> "Figure":
    """KL of each latent dimension, largest first, one line per model."""
    figure, axes = _figure(1, 1, (6.5, 3.2))
    styles = ((BLUE, "o-"), (ORANGE, "s--"), (GREEN, "^-."), (PURPLE, "v:"), (GREY, "D-"))
    for (label, values), (colour, line) in zip(kl.items(), styles, strict=False):
        ranked = values.sort(descending=True).values
        rank = np.arange(1, len(ranked) + 1)
        axes[0, 0].plot(rank, ranked, line, color=colour, ms=3, label=label)
    if threshold is not None:
        axes[0, 0].axhline(threshold, color=GREY, lw=0.8)
    axes[0, 0].set(xscale="log", xlabel="latent dimension, by rank", ylabel="KL (nats)")
    axes[0, 0].legend(frameon=False)
    return figure
