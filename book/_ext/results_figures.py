"""Inline SVG figures of the results pages; custom.css gives them the page's colours."""

import math
from collections.abc import Callable
from html import escape
from typing import Any

from results_tables import SENSITIVITY

Results = dict[str, Any]

WIDTH, LEFT, BAR, GAP = 640, 150, 20, 26  # pixels; LEFT is the width of the labels
MAX_BAR = WIDTH - LEFT - 80  # pixels; the rest is for its number


def svg(height: float, label: str, parts: list[str]) -> str:
    """Join drawn parts into one SVG; screen readers read `label`."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def text(x: float, y: float, content: str, kind: str) -> str:
    """Draw one line of text; `kind` is its class in custom.css."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(content)}</text>'


def bar(y: float, length: float, kind: str, number: str) -> str:
    """Draw a bar with its number at the end."""
    drawn = f'<rect x="{LEFT}" y="{y}" width="{max(length, 1):.1f}" height="{BAR}" '
    drawn += f'rx="2" class="{kind}"/>'
    return drawn + text(LEFT + max(length, 1) + 8, y + 15, number, "plot-number")


def judge_sensitivity(run: Results) -> str:
    """Draw each ratio on a logarithmic axis, with a mark at the required ratio."""
    parts, y = [], 26.0
    values = {key: run["sensitivity"][key] for key in SENSITIVITY}
    scale = MAX_BAR / math.log10(max([*values.values(), 100]) * 1.2)
    for ratio in (1, 10, 100):
        x = LEFT + math.log10(ratio) * scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="18" y2="140" class="plot-grid"/>')
        parts.append(text(x, 12, f"{ratio} ×", "plot-tick"))
    for key, value in values.items():
        name, required = key.replace("_", " "), SENSITIVITY[key][1]
        parts.append(text(LEFT - 12, y + 15, name, "plot-label"))
        parts.append(bar(y, math.log10(max(value, 1)) * scale, "plot-ours", f"{value:.0f} ×"))
        x = LEFT + math.log10(required) * scale
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 4}" y2="{y + BAR + 4}" class="plot-mark"/>'
        )
        y += BAR + 20
    values_text = [
        f"{SENSITIVITY[k][0]}: {v:.0f} times, required {SENSITIVITY[k][1]}"
        for k, v in values.items()
    ]
    return svg(y, "Bars of the ratio of FD to its floor. " + "; ".join(values_text) + ".", parts)


FIGURES: dict[str, Callable[[Results], str]] = {
    "judge-sensitivity": judge_sensitivity,
}
