"""Markdown tables of the results pages; each function takes results and returns a table."""

from collections.abc import Callable
from typing import Any

Results = dict[str, Any]

FLOOR_BAR, ACCURACY_BAR = 0.3, 0.994
SENSITIVITY = {  # key in judge.json: change of the test images, required ratio
    "noise_0.05": ("pixel noise, standard deviation 0.05", 20),
    "blur_3x3": ("one 3 × 3 blur", 80),
    "missing_nine": ("class 9 removed", 40),
}
LOSSES = {"total": "total", "recon": "recon", "kl": "KL"}


def markdown(header: list[str], rows: list[list[str]], align: str) -> str:
    """Return a pipe table; `align` has one letter per column, l or r."""
    rule = [{"l": ":---", "r": "---:"}[letter] for letter in align]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows]) + "\n"


def format_seconds(seconds: float) -> str:
    """Format a duration for readers: 4.5 s, 45 s, 12 min, 2 h 05 min."""
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def threads(hardware: str) -> str:
    """Correct "1 threads" in a description of hardware."""
    return hardware.removesuffix("s") if hardware.endswith(", 1 threads") else hardware


def provenance(run: Results) -> str:
    """Show data, seed, time, hardware and commit of the run."""
    facts = {
        "data": run["data"],
        "seed": run.get("seed"),
        "time": format_seconds(run["seconds"]),
        "hardware": threads(run["hardware"]),
        "commit": f"`{run['commit'][:12]}`",
    }
    rows = [[name, str(value)] for name, value in facts.items() if value is not None]
    return markdown(["the run", ""], rows, "ll")


def judge_accuracy(run: Results) -> str:
    """Show how accurately the judge and the second classifier read real test digits."""
    low, high = run["accuracy_interval"]
    digit, share = min(run["per_digit"].items(), key=lambda item: item[1])
    rows = [
        ["accuracy", f"**{run['accuracy']:.2%}**", f"at least {ACCURACY_BAR:.1%}"],
        ["95 % interval (Wilson)", f"{low:.2%} to {high:.2%}", ""],
        [f"worst digit ({digit})", f"{share:.2%}", ""],
        ["calibration error", f"{run['calibration_error']:.3f}", ""],
        ["read confidently (above 0.9)", f"{run['confident_share']:.1%}", ""],
        ["second classifier's accuracy", f"{run['second_accuracy']:.2%}", ""],
        ["the two disagree on", f"{run['disagreement']:.2%}", ""],
    ]
    return markdown([f"on {run['n']:,} test images", "measured", "required"], rows, "lrr")


def judge_sensitivity(run: Results) -> str:
    """Show the floor of the Fréchet distance, its sensitivity, and what we require."""
    rows = [
        [
            "none (the floor itself, as FD)",
            f"{run['fd_floor']:.3f}",
            f"at most {FLOOR_BAR}",
            met(run["fd_floor"] <= FLOOR_BAR),
        ]
    ]
    for key, (what, bar) in SENSITIVITY.items():
        ratio = run["sensitivity"][key]
        rows.append([what, f"**{ratio:.1f} ×**", f"at least {bar} ×", met(ratio >= bar)])
    return markdown(
        ["change of the test images", "ratio of FD to its floor", "required", "met"], rows, "lrrl"
    )


def met(good: bool) -> str:
    """Return "yes" or "no" for a requirement, as text rather than colour."""
    return "yes" if good else "**no**"


TABLES: dict[str, Callable[[Results], str]] = {
    "judge-accuracy": judge_accuracy,
    "judge-sensitivity": judge_sensitivity,
    "judge-run": provenance,
}
