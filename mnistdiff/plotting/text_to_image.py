"""Figures of text to image: success per digit, the ladder, the guidance frontier, the styles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from jaxtyping import Float
from torch import Tensor

from mnistdiff.plotting.canvas import BLUE, GREEN, GREY, ORANGE, new_figure, show_picture, tile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Interval = tuple[float, float]


class RungMeasures(Protocol):
    """The measures of one rung of the ladder: one row per training seed, and their statistics."""

    @property
    def rows(self) -> Sequence[dict[str, float]]: ...

    def mean(self, name: str) -> float: ...

    def interval(self, name: str) -> Interval: ...


def plot_per_digit(
    shares: Sequence[float], intervals: Sequence[Interval], report: float, worst: Sequence[int]
) -> "Figure":
    """Plot the share drawn correctly per digit, the report's share, and the digits it names."""
    figure, axes = new_figure(1, 1, (6.4, 3.0))
    ax = axes[0, 0]
    for digit, (share, (low, high)) in enumerate(zip(shares, intervals, strict=True)):
        named = digit in worst
        colour, mark = (ORANGE, "s") if named else (BLUE, "o")
        ax.plot([digit, digit], [100 * low, 100 * high], color=colour, lw=1.6)
        ax.plot(digit, 100 * share, mark, color=colour)
    ax.axhline(100 * report, color=GREY, ls="--", lw=1)
    ax.text(9.4, 100 * report + 1, "report, all digits, by eye", ha="right", color=GREY)
    for name, colour, mark in (("other digits", BLUE, "o"), ("the report's worst", ORANGE, "s")):
        ax.plot([], [], mark, color=colour, label=name)
    ax.set(xticks=range(10), xlabel="digit asked for", ylabel="read as asked, %", xlim=(-0.5, 9.5))
    ax.set_ylim(min(55.0, *(100 * low - 3 for low, _ in intervals)), 101)
    ax.legend(frameon=False, loc="center left")
    return figure


def plot_ladder(rungs: Sequence[RungMeasures], labels: Sequence[str]) -> "Figure":
    """Plot label accuracy and FD ratio per rung: each training seed, the mean and its interval."""
    figure, axes = new_figure(1, 2, (9.0, 0.48 * len(rungs) + 1.2))
    for ax, name, factor in zip(axes[0], ("accuracy", "fd_ratio"), (100, 1), strict=True):
        for row, rung in enumerate(rungs):
            low, high = rung.interval(name)
            ax.plot([factor * low, factor * high], [row, row], color=BLUE, lw=1.6)
            seeds = [factor * one[name] for one in rung.rows]
            ax.plot(seeds, [row + 0.22] * len(seeds), "x", color=ORANGE, ms=5, mew=1.4)
            ax.plot(factor * rung.mean(name), row, "o", color=BLUE)
        ax.set_ylim(len(rungs) - 0.4, -0.6)
        ax.grid(axis="x", lw=0.4)
    axes[0, 0].set_yticks(range(len(rungs)), labels)
    axes[0, 1].set_yticks(range(len(rungs)), [""] * len(rungs))
    axes[0, 0].set(xlabel="label accuracy, %  (higher is better)", xlim=(0, 101))
    axes[0, 1].set(xlabel="FD ratio  (lower is better, 1 is real)")
    axes[0, 1].set_xlim(left=0)
    axes[0, 1].plot([], [], "o-", color=BLUE, label="mean and interval")
    axes[0, 1].plot([], [], "x", color=ORANGE, label="one training seed")
    figure.legend(
        *axes[0, 1].get_legend_handles_labels(), frameon=False, ncols=2, loc="outside upper right"
    )
    return figure


def plot_frontier(scales: Sequence[float], rows: Sequence[dict[str, Any]]) -> "Figure":
    """Plot label accuracy against diversity, and the FD ratio by guidance scale."""
    figure, axes = new_figure(1, 2, (9.0, 3.5))
    accuracy = [100 * row["accuracy"] for row in rows]
    lines = (("coverage", BLUE, "o-"), ("recall", ORANGE, "s--"))
    for name, colour, line in lines:
        values = [row[name] for row in rows]
        axes[0, 0].plot(values, accuracy, line, color=colour, label=name, ms=5)
        for i in (0, -1):  # the points between them lie too close together for labels
            _label_point(axes[0, 0], (values[i], accuracy[i]), scales[i], colour)
    axes[0, 0].set(xlabel="diversity: coverage, recall", ylabel="label accuracy, %")
    axes[0, 0].margins(0.12, 0.16)
    axes[0, 0].legend(frameon=False, loc="lower left")
    axes[0, 1].plot(scales, [row["fd_ratio"] for row in rows], "^-", color=GREEN)
    axes[0, 1].axhline(1, color=GREY, lw=0.8)
    axes[0, 1].set(xlabel="guidance scale", ylabel="FD ratio (1: as real digits)")
    axes[0, 1].set_xticks([scale for scale in scales if scale == int(scale)])
    axes[0, 1].xaxis.set_major_formatter("{x:g}")
    axes[0, 1].set_ylim(bottom=0)
    return figure


def _label_point(ax: "Axes", at: tuple[float, float], scale: float, colour: str) -> None:
    """Write the guidance scale above a point."""
    ax.annotate(
        f"s = {scale:g}",
        at,
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
        color=colour,
    )


def plot_styles(
    rows: dict[str, Sequence[Float[Tensor, "n 1 28 28"]]], columns: Sequence[str]
) -> "Figure":
    """Show the digits 0 to 9 for each style (row) and strength (column)."""
    figure, axes = new_figure(len(rows), len(columns), (2.7 * len(columns) + 0.8, 1.15 * len(rows)))
    for line, (name, cells) in zip(axes, rows.items(), strict=True):
        for ax, images, heading in zip(line, cells, columns, strict=True):
            show_picture(ax, tile(images[:10], 5), heading if name == next(iter(rows)) else None)
        line[0].text(-0.04, 0.5, name, transform=line[0].transAxes, ha="right", va="center")
    return figure
