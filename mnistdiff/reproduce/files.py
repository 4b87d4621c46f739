"""Result files: one JSON file per experiment, to which several processes may add runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnistdiff.errors import MnistdiffError
from mnistdiff.evaluation import summarise
from mnistdiff.reproduce.catalogue import Unit
from mnistdiff.storage import exclusive_lock, write_atomically

RESULTS = Path(__file__).parents[2] / "book" / "results"


def result_path(out: Path, name: str) -> Path:
    """Return the result file of an experiment."""
    return out / f"{name}.json"


def read_result(out: Path, name: str) -> dict[str, Any] | None:
    """Return an experiment's result file, or None if there is none.

    Raises MnistdiffError if the file is not a result.
    """
    path = result_path(out, name)
    try:
        result = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MnistdiffError(f"{path} cannot be read ({error}); delete it and run again.") from None
    if not isinstance(result, dict):
        raise MnistdiffError(f"{path} is not a result file; delete it and run again.")
    return result


def is_done(out: Path, unit: Unit) -> bool:
    """Return whether the file holds this configuration and seed with the same settings."""
    result = read_result(out, unit.experiment.name)
    if result is None or result.get("settings") != unit.settings:
        return False
    return any(_is_run_of(run, unit) for run in result["runs"])


def _is_run_of(run: Mapping[str, Any], unit: Unit) -> bool:
    return run["seed"] == unit.seed and run["configuration"] == dict(unit.configuration)


def add_run(
    out: Path, unit: Unit, run: dict[str, Any], pictures: Mapping[str, bytes] | None = None
) -> None:
    """Add a run to its experiment's file, and write its pictures; replace an equal run.

    Runs with other settings are dropped: a file holds one comparison. Raises MnistdiffError if the
    folder cannot be written.
    """
    for name, picture in (pictures or {}).items():
        write_atomically(out / "figures" / name, picture)
    path = result_path(out, unit.experiment.name)
    with exclusive_lock(path, waiting=None):
        result = read_result(out, unit.experiment.name) or {}
        runs = result.get("runs", []) if result.get("settings") == unit.settings else []
        runs = [other for other in runs if not _is_run_of(other, unit)] + [run]
        runs.sort(key=lambda each: _place(unit, each))
        described = {
            "experiment": unit.experiment.name,
            "stands_for": list(unit.experiment.stands_for),
            "settings": unit.settings,
            "runs": runs,
            "rows": summarise_runs(runs),
        }
        write_atomically(path, (json.dumps(described, indent=1, allow_nan=False) + "\n").encode())


def _place(unit: Unit, run: Mapping[str, Any]) -> tuple[int, int]:
    known = [dict(each) for each in unit.experiment.configurations]
    found = run["configuration"]
    return (known.index(found) if found in known else len(known), run["seed"])


def summarise_runs(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per configuration: means and 95 % Student intervals over its seeds."""
    rows, configurations = [], []
    for run in runs:
        if run["configuration"] not in configurations:
            configurations.append(run["configuration"])
    for configuration in configurations:
        same = [run for run in runs if run["configuration"] == configuration]
        scalars = [_scalars(run["measures"]) for run in same]
        shared = scalars[0].keys() & set.intersection(*map(set, scalars)) - configuration.keys()
        rows.append(
            {
                **configuration,
                "seeds": [run["seed"] for run in same],
                **summarise([{n: row[n] for n in scalars[0] if n in shared} for row in scalars]),
            }
        )
    return rows


def _scalars(measures: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in measures.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
