"""Markdown tables of our runs beside the report's."""

from collections.abc import Iterable, Sequence
from typing import Any

from mnistdiff.experiments.vae import VAERun


def compare_table(runs: Iterable[VAERun], key: str, report: dict[Any, dict[str, Any]]) -> str:
    """Return a markdown table of training losses, ours and the report's.

    `key` ("beta" or "latent_dim") names the first column.
    """
    names = ("total", "recon", "kl")
    words = [name.replace("kl", "KL") for name in names]
    head = [key.replace("_", " "), *(f"{n} {who}" for n in words for who in ("ours", "report"))]
    rows = []
    for run in runs:
        theirs = report.get(run.row[key], {})
        cells = [_format_value(run.row[key])]
        for name in names:
            cells += [f"{run.row[name]:.2f}", f"{theirs[name]:.2f}" if theirs else "–"]
        rows.append(cells)
    return markdown_table(head, rows)


def measured_table(runs: Iterable[VAERun], key: str) -> str:
    """Return a markdown table of the judge's measures, with 95 % Wilson intervals."""
    head = [
        key.replace("_", " "),
        "reconstructions read right, %",
        "samples read confidently, %",
        "FD ratio of samples",
        "active units",
    ]
    rows = []
    for run in runs:
        row = run.row
        rows.append(
            [
                _format_value(row[key]),
                percent(row["recon_accuracy"], row["recon_accuracy_interval"]),
                percent(row["confident_share"], row["confident_interval"]),
                f"{row['fd_ratio']:.0f}",
                f"{row['active_units']} of {row['latent_dim']}",
            ]
        )
    return markdown_table(head, rows)


def _format_value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def percent(share: float, interval: tuple[float, float]) -> str:
    """Format a share and its interval in percent: "87.2 (85.0–89.1)"."""
    return f"{100 * share:.1f} ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table; columns of numbers are aligned right, all others left."""
    rows = list(rows)
    columns = [[row[i] for row in rows] for i in range(len(head))]
    rule = ["---:" if _are_numbers(column) else ":---" for column in columns]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def _are_numbers(cells: Sequence[str]) -> bool:
    """Return whether at least half of the non-empty cells begin with a number."""
    filled = [cell.lstrip("*+-−") for cell in cells if cell not in ("", "–")]
    return 2 * sum(cell[:1].isdigit() for cell in filled) >= len(filled)
