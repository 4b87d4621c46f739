"""What the result files hold: every table and figure of the report, its seeds and settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnistdiff.experiments import markdown_table
from mnistdiff.reproduce.catalogue import Experiment, find_profile, plan, settings_of
from mnistdiff.reproduce.files import RESULTS, read_result, result_path


def list_experiments(experiments: Sequence[Experiment]) -> dict[str, Any]:
    """Return what each experiment stands for, its units, and the estimated hours on one core."""
    rows = []
    for experiment in experiments:
        units = len(plan([experiment]))
        rows.append(
            {
                "experiment": experiment.name,
                "stands_for": ", ".join(experiment.stands_for),
                "seeds": experiment.seeds,
                "units": units,
                "hours": round(units * experiment.hours, 2),
                "made_by": experiment.made_by,
            }
        )
    return {"rows": rows, "hours": sum(row["hours"] for row in rows)}


def check_results(experiments: Sequence[Experiment], out: Path | None = None) -> dict[str, Any]:
    """Return for each experiment its file, seeds and faults; "ok" is True if there are none."""
    rows = [_check(experiment, out or RESULTS) for experiment in experiments]
    return {"rows": rows, "ok": all(row["state"] == "complete" for row in rows)}


def _check(experiment: Experiment, out: Path) -> dict[str, Any]:
    result = read_result(out, experiment.name)
    row = {
        "experiment": experiment.name,
        "stands_for": ", ".join(experiment.stands_for),
        "file": result_path(out, experiment.name).name,
        "seeds": f"{_fewest_seeds(experiment, result)} of {experiment.seeds}",
        "settings": _settings_fault(experiment, result) or "the report's",
    }
    if result is None:
        return row | {"settings": "–", "state": "missing"}
    if not experiment.kind:  # another program's file, in its own format
        complete = "commit" in result
        return row | {"seeds": "–", "settings": "–", "state": "complete" if complete else "missing"}
    if not experiment.report and row["settings"] == "the report's":
        row["settings"] = "ours"
    if row["settings"] not in ("the report's", "ours"):
        return row | {"state": "other settings"}
    enough = _fewest_seeds(experiment, result) >= experiment.seeds
    return row | {"state": "complete" if enough else "seeds missing"}


def _fewest_seeds(experiment: Experiment, result: dict[str, Any] | None) -> int:
    """Return how many seeds the configuration with the fewest has."""
    runs = result.get("runs", []) if result else []
    return min(
        len({run["seed"] for run in runs if run["configuration"] == dict(configuration)})
        for configuration in experiment.configurations
    )


def _settings_fault(experiment: Experiment, result: dict[str, Any] | None) -> str:
    """Return how the settings differ from today's or from the report's; "" if they do not."""
    if result is None or not experiment.kind:
        return ""
    found = result.get("settings", {})
    expected = settings_of(experiment, find_profile(experiment.profile)) | dict(experiment.report)
    if (profile := found.get("profile")) != experiment.profile:
        return f"{profile} profile, not {experiment.profile}"
    wrong = [name for name in found | expected if found.get(name) != expected.get(name)]
    return "; ".join(f"{n} {found.get(n)}, not {expected.get(n)}" for n in wrong[:2])


def render_check(result: dict[str, Any]) -> str:
    """Return the table of `check_results`, and a sentence that names what is missing."""
    faults = [row for row in result["rows"] if row["state"] != "complete"]
    if not faults:
        return f"{_table(result['rows'])}\n\nEverything is there."
    named = "; ".join(f"{row['stands_for']} ({row['file']}: {row['state']})" for row in faults)
    count = f"{len(faults)} of {len(result['rows'])} are not complete"
    return f"{_table(result['rows'])}\n\n{count}: {named}."


def render_list(result: dict[str, Any]) -> str:
    """Return the table of `list_experiments`, and the hours of all."""
    return (
        f"{_table(result['rows'])}\n\nAbout {result['hours']:.0f} hours on one core, "
        "estimated; trainings that experiments share run once."
    )


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = [name.replace("_", " ") for name in rows[0]]
    return markdown_table(head, [[str(value) for value in row.values()] for row in rows])
