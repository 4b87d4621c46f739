"""Tables and a figure of the diffusion results: sample quality, and quality against steps."""

import math
from collections.abc import Callable
from typing import Any

from results_figures import svg, text
from results_report import shown
from results_tables import format_seconds, markdown, threads

Results = dict[str, Any]

SHARES = {"confident_share", "memorised_share"}
MEASURES = {  # key: name, value of a perfect generator
    "fd_ratio": ("FD ratio", "1"),
    "fd": ("FD", "{fd_floor:.2f}"),
    "coverage": ("coverage", "{coverage_real:.3f}"),
    "precision": ("precision", ""),
    "recall": ("recall", ""),
    "density": ("density", ""),
    "confident_share": ("read confidently", ""),
    "memorised_share": ("copies of training digits", "0.00%"),
}
SERIES = {  # (sampler, eta): name, class in custom.css
    ("ddim", 0.0): ("DDIM, eta 0", "series-1"),
    ("ddim", 0.5): ("DDIM, eta 0.5", "series-2"),
    ("ddim", 1.0): ("DDIM, eta 1", "series-3"),
    ("ddpm", None): ("DDPM", "series-4"),
    ("dpmpp_2m", None): ("DPM-Solver++", "series-5"),
    ("heun", None): ("Heun", "series-6"),
}
TOP, BOTTOM, LEFT, RIGHT = 16, 300, 60, 470  # the plot's frame, in pixels


def quality(run: Results) -> str:
    """Show all measures of one model's samples, with intervals over sampling seeds."""
    rows = []
    for key, (name, perfect) in MEASURES.items():
        form = ".2%" if key in SHARES else (".3f" if key not in ("fd", "fd_ratio") else ".2f")
        interval = run.get(key.replace("_share", "") + "_interval") or run.get(f"{key}_interval")
        spread = " to ".join(format(bound, form) for bound in interval) if interval else ""
        rows.append([name, f"**{run[key]:{form}}**", spread, perfect.format(**run)])
    title = f"{run['n']:,} digits, {len(run['seeds'])} seeds"
    return markdown([title, "measured", "95 % interval", "real digits"], rows, "lrrr")


def sampling_run(run: Results) -> str:
    """Show sampler, speed, judge, data, hardware and commit of the run."""
    facts = {
        "sampler": f"{run['sampler']}, {run['num_inference_steps']} steps",
        "autoguidance": f"{run['autoguidance']:g}" if run.get("autoguidance", 1) > 1 else "none",
        "seconds per digit": f"{run['seconds_per_image']:.4f}",
        "judge": run["judge"],
        "data": run["data"],
        "hardware": threads(run["hardware"]),
        "commit": f"`{run['commit'][:12]}`",
    }
    return markdown(["the run", ""], [[k, str(v)] for k, v in facts.items()], "ll")


def curve_table(run: Results) -> str:
    """Show one row per sampler and number of steps."""
    rows = []
    for point in sorted(run["rows"], key=lambda p: (_name(p), p["evaluations"])):
        rows.append(
            [
                _name(point),
                f"{point['evaluations']:,.0f}",
                f"{point['fd_ratio']:.2f}",
                f"{point['coverage']:.3f}",
                shown(point, "confident_share"),
                format_seconds(_seconds(point)),
            ]
        )
    head = ["sampler", "evaluations", "FD ratio", "coverage", "read confidently", "time"]
    return markdown(head, rows, "lrrrrr")


def ddim_against_ddpm(run: Results) -> str:
    """Compare 50 steps of DDIM at eta 0 with 1,000 steps of DDPM."""
    points = {(*_key(point), point["num_inference_steps"]): point for point in run["rows"]}
    short, full = points["ddim", 0.0, 50], points["ddpm", None, 1000]
    rows = [
        [
            label,
            f"{short[name]:{form}}",
            f"{full[name]:{form}}",
            f"{short[name] - full[name]:+{form}}",
        ]
        for name, label, form in (
            ("fd_ratio", "FD ratio", ".2f"),
            ("coverage", "coverage", ".3f"),
            ("confident_share", "read confidently", ".1%"),
        )
    ]
    times = f"{_seconds(full) / _seconds(short):.0f} times faster"
    rows.append(["time", *(format_seconds(_seconds(point)) for point in (short, full)), times])
    return markdown(["", "DDIM, 50 steps", "DDPM, 1,000 steps", "DDIM's difference"], rows, "lrrr")


def curve_figure(run: Results) -> str:
    """Draw FD ratio against network evaluations on logarithmic axes, one line per sampler."""
    points = run["rows"]
    counts = [p["evaluations"] for p in points]
    ratios = [p["fd_ratio"] for p in points]
    across = _axis(min(counts) * 0.8, max(counts) * 1.25, LEFT, RIGHT)
    up = _axis(min(ratios) * 0.8, max(ratios) * 1.25, BOTTOM, TOP)
    parts, y = [_frame(across, up, counts, ratios)], TOP + 14  # y: of the legend
    for i, (key, (name, kind)) in enumerate(SERIES.items()):
        line = sorted((p["evaluations"], p["fd_ratio"]) for p in points if _key(p) == key)
        if not line:
            continue
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" class="plot-line {kind}"/>')
        parts += [_mark(i, across(x), up(ratio), kind) for x, ratio in line]
        parts.append(_mark(i, RIGHT + 26, y - 4, kind))
        parts.append(text(RIGHT + 40, y, name, "plot-number"))
        y += 24
    parts.append(text((LEFT + RIGHT) / 2, BOTTOM + 38, "network evaluations", "plot-tick"))
    parts.append(text(LEFT - 44, TOP - 4, "FD ratio", "plot-number"))
    values = "; ".join(f"{_name(p)} {p['evaluations']:.0f}: {p['fd_ratio']:.1f}" for p in points)
    return svg(BOTTOM + 50, f"FD ratio by sampler and network evaluations. {values}.", parts)


def _seconds(point: Results) -> float:
    return point["seconds_per_image"] * point["n"]


def _key(point: Results) -> tuple[str, float | None]:
    return point["sampler"], point["eta"]


def _name(point: Results) -> str:
    return SERIES[_key(point)][0]


def _axis(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = math.log(high / low)
    return lambda value: start + (end - start) * math.log(value / low) / span


def _frame(across: Callable, up: Callable, counts: list[float], ratios: list[float]) -> str:
    parts = []
    for count in (5, 10, 20, 50, 100, 200, 1000):
        if min(counts) <= count <= max(counts):
            x = across(count)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}" class="plot-grid"/>'
            )
            parts.append(text(x, BOTTOM + 18, f"{count:,}", "plot-tick"))
    for ratio in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        if min(ratios) * 0.8 <= ratio <= max(ratios) * 1.25:
            y = up(ratio)
            parts.append(
                f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="plot-grid"/>'
            )
            parts.append(text(LEFT - 10, y + 4, f"{ratio}", "plot-label"))
    return "".join(parts)


def _mark(index: int, x: float, y: float, kind: str) -> str:
    """Draw one of three shapes, so that colour alone does not distinguish the samplers."""
    if index % 3 == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="plot-point {kind}"/>'
    rotation = f' transform="rotate(45 {x:.1f} {y:.1f})"' if index % 3 == 1 else ""
    corner = f'x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"'
    return f'<rect {corner}{rotation} class="plot-point {kind}"/>'


TABLES = {
    "pixel-curve": curve_table,
    "latent-curve": curve_table,
    "pixel-curve-ddim-ddpm": ddim_against_ddpm,
    "latent-curve-ddim-ddpm": ddim_against_ddpm,
    "pixel-quality": quality,
    "pixel-run": sampling_run,
    "pixel-unguided-quality": quality,
    "latent-best-quality": quality,
    "latent-best-run": sampling_run,
    "latent-unguided-quality": quality,
    "latent-report-quality": quality,
    "latent-report-run": sampling_run,
}
FIGURES = {"pixel-curve": curve_figure, "latent-curve": curve_figure}
