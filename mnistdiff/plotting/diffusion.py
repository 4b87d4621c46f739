"""Figures of diffusion in pixel space: trajectories, schedules, quality and speed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.data import to_unit
from mnistdiff.plotting.canvas import (
    BLUE,
    GAP,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    new_figure,
    show_picture,
    tile,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = ((BLUE, "o-"), (ORANGE, "s--"), (GREEN, "^-."), (PURPLE, "v:"), (GREY, "D-"))
CELL = 28 + GAP


class Film:
    """A sampler's callback that keeps (t, x_t, x0_hat) of evenly spaced steps in `frames`."""

    def __init__(self, num_inference_steps: int, frames: int = 10) -> None:
        last = num_inference_steps - 1
        self.kept = {round(i * last / max(frames - 1, 1)) for i in range(frames)}
        self.frames: list[tuple[int, Tensor, Tensor]] = []

    def __call__(self, step: int, t: int, x_t: Tensor, x0_hat: Tensor) -> None:
        if step in self.kept:
            self.frames.append((t, x_t.float(), x0_hat.float()))


class Point(NamedTuple):
    """The cost and the measures of one run of a sampler."""

    name: str
    evaluations: int  # of the network, per digit
    seconds: float  # per digit
    row: dict[str, Any]  # as `evaluation.measure` returns it


def plot_columns(
    rows: Sequence[Float[Tensor, "n 1 28 28"]], columns: Sequence[str], names: Sequence[str]
) -> "Figure":
    """Show rows of digits in [-1, 1], with column headings and row names."""
    width, height = 0.66 * len(columns) + 1.1, 0.66 * len(rows) + 0.35
    figure, axes = new_figure(1, 1, (width, height))
    show_picture(axes[0, 0], tile(to_unit(torch.cat(list(rows))).clamp(0, 1), len(columns)))
    _headings(axes[0, 0], columns)
    for index, name in enumerate(names):
        axes[0, 0].text(-5, index * CELL + 14, name, ha="right", va="center")
    return figure


def plot_film(frames: Sequence[tuple[int, Tensor, Tensor]]) -> "Figure":
    """Show x_t and the predicted x_0 at some timesteps of a sampler's trajectory."""
    digits, columns = len(frames[0][1]), len(frames)
    figure, axes = new_figure(2, 1, (0.66 * columns + 1.1, 1.32 * digits + 0.75))
    _, x_t, x0_hat = zip(*frames, strict=True)
    parts = ((x_t, "$x_t$"), (x0_hat, r"$\hat x_0$"))
    for ax, (images, name) in zip(axes[:, 0], parts, strict=True):
        pictures = torch.stack(images, dim=1).flatten(0, 1)
        show_picture(ax, tile(to_unit(pictures).clamp(0, 1), columns))
        ax.text(-5, (digits * CELL - GAP) / 2, name, ha="right", va="center", fontsize=13)
        _headings(ax, [f"t = {t}" if i == 0 else str(t) for i, (t, *_) in enumerate(frames)])
    return figure


def _headings(ax: "Axes", texts: Sequence[str]) -> None:
    for index, text in enumerate(texts):
        ax.text(index * CELL + 14, -3, text, ha="center", va="bottom", fontsize=9)


def plot_grids(grids: dict[str, Float[Tensor, "n 1 28 28"]], notes: Sequence[str]) -> "Figure":
    """Show grids of digits in [0, 1] side by side, each with a name above and a note below."""
    count = len(next(iter(grids.values())))
    columns = round(count**0.5)
    figure, axes = new_figure(1, len(grids), (3.6 * len(grids), 4.1))
    for ax, (name, images), note in zip(axes[0], grids.items(), notes, strict=True):
        show_picture(ax, tile(images, columns), name)
        ax.text(0.5, -0.03, note, transform=ax.transAxes, ha="center", va="top")
    return figure


def plot_matrix(
    rows: dict[str, Sequence[Float[Tensor, "n 1 28 28"]]], columns: Sequence[str], side: int = 4
) -> "Figure":
    """Show a grid of side x side digits in [0, 1] for each row and column."""
    size = 0.34 * side
    figure, axes = new_figure(
        len(rows), len(columns), (size * len(columns) + 0.9, size * len(rows))
    )
    for line, (name, grids) in zip(axes, rows.items(), strict=True):
        for ax, images, heading in zip(line, grids, columns, strict=True):
            show_picture(
                ax, tile(images[: side * side], side), heading if name == next(iter(rows)) else ""
            )
        line[0].text(-0.08, 0.5, name, transform=line[0].transAxes, ha="right", va="center")
    return figure


def plot_schedules(abar: dict[str, Float[Tensor, " T"]]) -> "Figure":
    """Plot the scales of signal and noise in x_t, one line per schedule."""
    figure, axes = new_figure(1, 2, (8.0, 2.8))
    for (name, kept), (colour, line) in zip(abar.items(), LINES, strict=False):
        for ax, scale in zip(axes[0], (kept.sqrt(), (1 - kept).sqrt()), strict=True):
            ax.plot(scale, line[1:], color=colour, label=name)
    axes[0, 0].set(xlabel="t", title=r"scale of the digit, $\sqrt{\bar\alpha_t}$")
    axes[0, 1].set(xlabel="t", title=r"scale of the noise, $\sqrt{1 - \bar\alpha_t}$")
    axes[0, 0].legend(frameon=False)
    return figure


def plot_timesteps(kept: dict[str, Sequence[int]]) -> "Figure":
    """Plot the timesteps that each spacing keeps."""
    figure, axes = new_figure(1, 1, (7.5, 0.5 * len(kept) + 0.9))
    for index, ((name, steps), (colour, line)) in enumerate(zip(kept.items(), LINES, strict=False)):
        axes[0, 0].plot(steps, [index] * len(steps), line[0], color=colour, label=name)
    axes[0, 0].set_yticks(range(len(kept)), list(kept))
    axes[0, 0].set(xlabel="t  (0: clean, T − 1: noise)", ylim=(len(kept) - 0.5, -0.5))
    axes[0, 0].grid(axis="x", lw=0.4)
    return figure


def plot_noise_added(panels: dict[str, dict[str, tuple[Sequence[int], Tensor]]]) -> "Figure":
    """How much fresh noise each step adds; per panel and name timesteps and standard deviations."""
    figure, axes = new_figure(1, len(panels), (4.2 * len(panels), 3.0))
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for (name, (steps, sigma)), (colour, line) in zip(lines.items(), LINES, strict=False):
            ax.plot(steps, sigma, line[1:], color=colour, label=name)
        ax.set(xlabel="t", ylabel="standard deviation", title=title)
        ax.set_ylim(bottom=-0.01)
        ax.legend(frameon=False)
    return figure


def plot_quality(points: Sequence[Point]) -> "Figure":
    """Plot the FD ratio against network evaluations and seconds per digit, one line per sampler."""
    figure, axes = new_figure(1, 2, (9.0, 3.7))
    names = list(dict.fromkeys(point.name for point in points))
    for name, (colour, line) in zip(names, LINES, strict=False):
        mine = [point for point in points if point.name == name]
        ratio = [point.row["fd_ratio"] for point in mine]
        for ax, field in zip(axes[0], ("evaluations", "seconds"), strict=True):
            at = [getattr(point, field) for point in mine]
            ax.plot(at, ratio, line, color=colour, label=name, ms=6, mfc="none")
    axes[0, 0].set(xlabel="network evaluations per digit", ylabel="FD ratio (1: as real digits)")
    axes[0, 1].set(xlabel="seconds per digit")
    for ax in axes[0]:
        ax.set(xscale="log", yscale="log")
        ax.xaxis.set_major_formatter("{x:g}")
        _plain_ticks(ax, [point.row["fd_ratio"] for point in points])
        ax.axhline(1, color=GREY, lw=0.8)
    axes[0, 1].legend(frameon=False)
    return figure


def _plain_ticks(ax: "Axes", values: Sequence[float]) -> None:
    """Label the y axis with 1, 2, 5, 10, ... instead of powers of ten."""
    marks = [m * 10.0**e for e in range(-1, 4) for m in (1, 2, 5)]
    low, high = 0.9 * min([1.0, *values]), 1.1 * max(values)
    shown = [mark for mark in marks if low <= mark <= high]
    ax.set_ylim(low, high)
    ax.set_yticks(shown, [f"{mark:g}" for mark in shown])
    ax.set_yticks([], minor=True)


def plot_inversion(
    real: Float[Tensor, "n 1 28 28"], noise: Tensor, decoded: dict[int, Tensor]
) -> "Figure":
    """Show real digits, the noise that inversion gives, and that noise decoded, per step count."""
    rows = [real, noise / 3, *decoded.values()]  # noise runs from about -3 to 3
    names = ["real", "encoded", *(f"{steps} steps" for steps in decoded)]
    return plot_columns(rows, [""] * len(real), names)
