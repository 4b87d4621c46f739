"""Results of `mnistdiff reproduce`: what is measured, and what is still missing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results_old import OLD

from mnistdiff.reproduce import CATALOGUE

Results = dict[str, Any]

EXPERIMENTS = {experiment.name: experiment for experiment in CATALOGUE if experiment.kind}


def read_experiment(folder: Path, name: str) -> Results | None:
    """Return the result of an experiment at its own scale, or None if there is none.

    Until it is complete, an earlier file that shows the same is returned in its format.
    """
    result = read_json(folder / f"{name}.json")
    if result and result["settings"]["profile"] != EXPERIMENTS[name].profile:
        result = None
    if name not in OLD or is_complete(result):
        return result
    stem, convert = OLD[name]
    earlier = read_json(folder / f"{stem}.json")
    return {"experiment": name, **convert(earlier)} if earlier else result


def read_json(path: Path) -> Results | None:
    """Return a file's content, or None if it does not exist."""
    return json.loads(path.read_text(encoding="utf8")) if path.is_file() else None


def row_of(result: Results, configuration: Mapping[str, Any]) -> Results | None:
    """Return a configuration's row, or None if it has not been measured."""
    rows = (row for row in result["rows"] if configuration.items() <= row.items())
    return next(rows, None)


def is_complete(result: Results | None) -> bool:
    """Return whether every configuration of the experiment has been measured."""
    if result is None:
        return False
    configurations = EXPERIMENTS[result["experiment"]].configurations
    return all(row_of(result, each) for each in configurations)


def not_measured(name: str, result: Results | None = None) -> str:
    """Return the sentence that stands where an experiment, or a part of it, is missing."""
    stands_for = ", ".join(EXPERIMENTS[name].stands_for)
    how_far = "has not been measured completely" if result else "has not been measured"
    return f"The experiment `{name}` ({stands_for}) {how_far} at full scale yet."
