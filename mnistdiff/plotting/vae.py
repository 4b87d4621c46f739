"""Figures of VAEs: reconstructions, samples, losses and latent spaces."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.data import Digits
from mnistdiff.experiments import SAMPLE_SEED, VAERun, reconstruct, sample_prior
from mnistdiff.plotting.canvas import (
    BLUE,
    DIGIT_COLOURS,
    DIGIT_MARKERS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    new_figure,
    show_picture,
    tile,
)
from mnistdiff.vae import VAE, kl_per_dimension

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_sweep(
    runs: Sequence[VAERun], test_images: Float[Tensor, "n 1 28 28"], key: str, side: int = 5
) -> "Figure":
    """Show real digits, then each run's reconstructions above its prior samples."""
    chosen = test_images[: side * side]
    figure, axes = new_figure(2, len(runs) + 1, (1.5 * (len(runs) + 1), 3.5))
    show_picture(axes[0, 0], tile(chosen, side), "real")
    axes[1, 0].set_axis_off()
    for column, run in enumerate(runs, start=1):
        generator = torch.Generator().manual_seed(SAMPLE_SEED)
        title = f"{_SYMBOL[key]} = {run.row[key]:g}"
        show_picture(axes[0, column], tile(reconstruct(run.model, chosen), side), title)
        show_picture(axes[1, column], tile(sample_prior(run.model, side * side, generator), side))
    for row, name in enumerate(("reconstructions", "prior samples")):
        axes[row, 1].text(
            -0.06, 0.5, name, rotation=90, transform=axes[row, 1].transAxes, ha="right", va="center"
        )
    return figure


_SYMBOL = {"beta": "β", "latent_dim": "D"}
_AXIS = {"beta": "β (weight of the KL term)", "latent_dim": "latent dimension D"}


def plot_loss_trade_off(
    runs: Sequence[VAERun], key: str, report: dict[float, dict[str, float]]
) -> "Figure":
    """Plot reconstruction loss and KL against beta or latent dimension, ours and the report's."""
    figure, axes = new_figure(1, 2, (8.0, 3.2))
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


def plot_history(runs: Sequence[VAERun], labels: Sequence[str] | None = None) -> "Figure":
    """Plot the total training loss per epoch."""
    figure, axes = new_figure(1, 1, (6.0, 3.2))
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


def plot_sample_pair(run_a: VAERun, run_b: VAERun, side: int = 8) -> "Figure":
    """Show prior samples of two runs from the same latents (the report's Figure 2)."""
    figure, axes = new_figure(1, 2, (7.0, 3.8))
    for ax, run in zip(axes[0], (run_a, run_b), strict=True):
        generator = torch.Generator().manual_seed(SAMPLE_SEED)
        title = f"{run.row['epochs']} epochs, total loss {run.row['total']:.2f}"
        show_picture(ax, tile(sample_prior(run.model, side * side, generator), side), title)
    return figure


@torch.inference_mode()
def plot_latent_map(model: VAE, digits: Digits, side: int = 18, reach: float = 2.4) -> "Figure":
    """Plot the test digits in a 2-D latent space, and the images decoded from a grid in it."""
    mu, _ = model.encode(digits.images)
    figure, axes = new_figure(1, 2, (9.0, 4.4))
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
    show_picture(axes[0, 1], tile(model.decode(z.flip(1)), side), f"decoded, −{reach} to {reach}")
    return figure


@torch.inference_mode()
def plot_traversal(
    model: VAE, image: Float[Tensor, "1 1 28 28"], rows: int = 6, columns: int = 11
) -> "Figure":
    """Move one digit's most informative latent dimensions from -3 to 3, one per row."""
    mu, logvar = model.encode(image)
    order = kl_per_dimension(mu, logvar).argsort(descending=True)[:rows]
    line = torch.linspace(-3, 3, columns)
    z = mu.repeat(len(order) * columns, 1)
    for row, dimension in enumerate(order):
        z[row * columns : (row + 1) * columns, dimension] = line
    figure, axes = new_figure(1, 1, (0.6 * columns, 0.6 * len(order) + 0.6))
    show_picture(
        axes[0, 0], tile(model.decode(z), columns), "each row: one latent dimension, −3 to 3"
    )
    return figure


def plot_points(clouds: Mapping[str, Float[Tensor, "n 2"]]) -> "Figure":
    """Plot labelled clouds of points in a two-dimensional latent space."""
    figure, ((axes,),) = new_figure(1, 1, (6, 3))
    for marker, (label, points) in zip(DIGIT_MARKERS, clouds.items(), strict=False):
        axes.plot(*points.T, marker, markersize=3, alpha=0.6, label=label)
    axes.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_kl_per_dimension(
    kl: dict[str, Float[Tensor, " d"]], threshold: float | None = None
) -> "Figure":
    """Plot the KL of each latent dimension, largest first, one line per model."""
    figure, axes = new_figure(1, 1, (6.5, 3.2))
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
