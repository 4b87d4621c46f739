"""Measure how long each notebook computes, for book/results/notebooks.json.

python scripts/measure_notebooks.py            # every notebook
python scripts/measure_notebooks.py 05_clip    # this one

Each runs with its answers, in the quick profile, on one thread and with an empty cache. Measured is
the time on a processor, which other programs do not change. The first line of each notebook gives
it in whole minutes, rounded up; tests/notebooks/test_times.py compares the two.
"""

import argparse
import json
import os
import resource
import tempfile
from pathlib import Path

import build_book
import build_notebooks

from mnistdiff.results import save_result

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "book" / "results" / "notebooks.json"


def measure(name: str) -> float:
    """Run one notebook; return the seconds that its kernel took on a processor."""
    source = build_notebooks.read_sources(ROOT)[name]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as cache:
        os.environ |= {"MNISTDIFF_CACHE": cache, "OMP_NUM_THREADS": "1"}
        build_book.execute(name, source, "quick")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure the named notebooks; write the file after each one, so that none is lost."""
    names = list(build_notebooks.read_sources(ROOT))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names, []], help="notebooks; default: all")
    for name in parser.parse_args().names or names:
        seconds = json.loads(RESULT.read_text())["seconds"] if RESULT.exists() else {}
        seconds[name] = round(measure(name), 1)
        save_result(RESULT, {"seconds": seconds})
        print(f"{name}: {seconds[name]} s on one core", flush=True)


if __name__ == "__main__":
    main()
