"""One unit in its own process: `python -m mnistdiff.reproduce.worker`.

It reads one JSON line that names the unit, and prints one JSON line with its run and its pictures.
It ends as soon as the process that started it has ended.
"""

import base64
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnistdiff.data import cache_folder
from mnistdiff.errors import MnistdiffError
from mnistdiff.pictures import save_grid
from mnistdiff.reproduce.catalogue import Unit, find_profile, select
from mnistdiff.reproduce.units import Outcome, run_unit
from mnistdiff.results import provenance, replace_nonfinite

NICENESS = 10


def describe(unit: Unit) -> dict[str, Any]:
    """Return what another process needs to find the unit in its own catalogue."""
    configuration = dict(unit.configuration)
    names = {"experiment": unit.experiment.name, "profile": unit.profile.name}
    return names | {"configuration": configuration, "seed": unit.seed, "key": unit.key}


def find_unit(described: dict[str, Any]) -> Unit:
    """Return the unit that `describe` described.

    Raises MnistdiffError if this version of the package has other settings.
    """
    (experiment,) = select([described["experiment"]])
    profile = find_profile(described["profile"])
    unit = Unit(experiment, described["configuration"], described["seed"], profile)
    if unit.key != described["key"]:
        raise MnistdiffError("the worker has another version of mnistdiff; install the same one.")
    return unit


def execute(unit: Unit) -> dict[str, Any]:
    """Run a unit; return its run for the result file, and its pictures as base64 PNG by name."""
    started = time.perf_counter()
    scratch = cache_folder() / "samples" / unit.key
    outcome = run_unit(unit, scratch)
    run = {
        "configuration": dict(unit.configuration),
        "seed": unit.seed,
        "measures": outcome.measures,
        "seconds": time.perf_counter() - started,
        "train_seconds": outcome.train_seconds,
        "data": "mnist" if unit.profile.source == "full" else unit.profile.source,
        **provenance(),
    }
    pictures = _encode(unit, outcome) if unit.seed == 0 else {}
    run["pictures"] = [f"figures/{name}" for name in pictures]
    shutil.rmtree(scratch, ignore_errors=True)
    return {"run": replace_nonfinite(run), "pictures": pictures}


def _encode(unit: Unit, outcome: Outcome) -> dict[str, str]:
    """Return each picture as base64 PNG, by its file name."""
    values = [f"{name}{value}" for name, value in unit.configuration.items()]
    stem = re.sub(r"[^a-z0-9._-]+", "-", "-".join([unit.experiment.name, *values]).lower())
    encoded = {}
    with tempfile.TemporaryDirectory() as folder:
        for label, images in outcome.pictures.items():
            path = Path(folder) / f"{stem.strip('-')}-{label}.png"
            save_grid(path, images.float(), outcome.columns)
            encoded[path.name] = base64.b64encode(path.read_bytes()).decode()
    return encoded


def _give_way() -> None:
    """Let the user's other programs go first."""
    with suppress(AttributeError, OSError):  # Windows has no os.nice
        os.nice(NICENESS)
    with suppress(OSError):  # Linux shares the processor by session before it looks at niceness
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def _end_with_parent() -> None:
    sys.stdin.read()  # ends when the other side of the pipe is gone
    os._exit(1)


def main() -> int:
    """Run the unit on the first line of the input; return the exit code."""
    _give_way()
    described = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answer = execute(find_unit(described))
    except MnistdiffError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(answer, allow_nan=False), flush=True)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the thread still holds the input
