"""Change one thing in the code at a time, and see whether the tests notice.

    python scripts/mutate.py --measure           which test runs which line: once, and after changes
    python scripts/mutate.py --n 300 --seed 0    a random sample of all mutants
    python scripts/mutate.py --again             the survivors of the last run
    python scripts/mutate.py --only mnistdiff/vae.py --list

A survivor shows a line whose meaning no test checks: write the test, or delete the line. A mutant
that no test can catch goes into scripts/mutants_equivalent.toml with the reason. The code is
changed in a temporary copy, never in this folder. Results: _build/mutation/report.json.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import tomllib
from dataclasses import replace
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from mutation import reach
from mutation.operators import SKIPPED_FILES, Mutant, mutants_of
from mutation.processes import become_subreaper, copy_tree, warm_up
from mutation.verdicts import Choice, Verdict, failing, judge

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "_build" / "mutation"
REACH = BUILD / "reach"
EQUIVALENT = ROOT / "scripts" / "mutants_equivalent.toml"


def main() -> None:
    options = parser().parse_args()
    REACH.mkdir(parents=True, exist_ok=True)
    if options.measure is not None:
        measure(options.measure or reach.test_files(ROOT))
    elif options.list:
        for mutant in sample(options):
            print(f"{mutant.file}:{mutant.line}: {mutant.before}  ->  {mutant.after}")
    else:
        report(options, verdicts(options.jobs, sample(options)))


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--n", type=int, default=300, help="how many mutants (default: 300)")
    found.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    found.add_argument("--only", default="", help="modules whose path starts with this")
    found.add_argument("--jobs", type=int, default=1, help="mutants at a time (default: 1)")
    found.add_argument("--list", action="store_true", help="show the sample, run nothing")
    found.add_argument("--again", action="store_true", help="the survivors of the last run")
    found.add_argument("--measure", nargs="*", metavar="TEST_FILE", help="all, without a file")
    found.add_argument("--report", type=Path, default=BUILD / "report.json")
    return found


def measure(files: list[str]) -> None:
    """Note which lines each test runs."""
    warm_up()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy_tree(ROOT, tree := Path(folder) / "tree")
        for file in files:
            print(reach.measure(tree, file, REACH), flush=True)


def modules() -> list[str]:
    files = [
        path for package in ("autograder", "mnistdiff") for path in (ROOT / package).rglob("*.py")
    ]
    return sorted({str(path.relative_to(ROOT)) for path in files} - set(SKIPPED_FILES))


def sample(options: argparse.Namespace) -> list[Mutant]:
    everything = [
        mutant
        for file in modules()
        if file.startswith(options.only)
        for mutant in mutants_of(ROOT, file)
    ]
    if options.again:
        last = {_key(row) for row in json.loads(options.report.read_text())["survivors"]}
        return [mutant for mutant in everything if mutant.key in last]
    return random.Random(options.seed).sample(everything, min(options.n, len(everything)))


def equivalents() -> dict[tuple, str]:
    """The mutants that no test can catch, and why."""
    rows = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    return {_key(row): row["reason"] for row in rows}


def _key(row: dict) -> tuple:
    names = ("file", "function", "before", "after")
    return (*(row[name] for name in names), row.get("number", 1))


def verdicts(jobs: int, mutants: list[Mutant]) -> list[Verdict]:
    """Judge the mutants, each in a fork; every job has a tree of its own."""
    if not (tests := reach.load(REACH)):
        sys.exit("Nothing is measured: run `python scripts/mutate.py --measure` first.")
    warm_up()
    choice = Choice(ROOT, tests)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        trees = [Path(folder) / str(job) / "tree" for job in range(jobs)]
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        for job, tree in enumerate(trees):
            copy_tree(ROOT, tree)
            arguments = (tree, mutants[job::jobs], choice, queue)
            context.Process(target=_job, args=arguments, daemon=True).start()
        found = []
        for _ in mutants:
            found.append(queue.get())
            show(found[-1], f"{len(found)} of {len(mutants)}")
        return without_false_alarms(trees[0], choice, found)


def _job(tree: Path, mutants: list[Mutant], choice: Choice, queue: SimpleQueue) -> None:
    become_subreaper()
    for mutant in mutants:
        queue.put(judge(tree, mutant, choice))


def show(verdict: Verdict, progress: str) -> None:
    mutant = verdict.mutant
    if not verdict.by:
        place = f"{mutant.file}:{mutant.line} in {mutant.function or 'the module'}"
        print(
            f"{place} ({verdict.tests} tests)\n  - {mutant.before}\n  + {mutant.after}", flush=True
        )
    print(progress, end="\r", file=sys.stderr, flush=True)


def without_false_alarms(tree: Path, choice: Choice, found: list[Verdict]) -> list[Verdict]:
    """Count as survivors the mutants that were caught by tests that fail on the unchanged code."""
    tests = [choice.by_name[name] for name in {v.by for v in found} if name in choice.by_name]
    seconds = sum(test.seconds for test in tests)
    wrong = failing(tree, choice.by_nearness(tests), seconds, stop=False)
    for name in wrong:
        print(f"fails on the unchanged code too: {name}")
    return [replace(v, by="") if v.by in wrong else v for v in found]


def report(options: argparse.Namespace, found: list[Verdict]) -> None:
    known = equivalents()
    caught = [v for v in found if v.by]
    equal = [v for v in found if not v.by and v.mutant.key in known]
    left = [v for v in found if not v.by and v.mutant.key not in known]
    different = len(found) - len(equal)
    text = (
        f"{len(caught)} of {len(found)} mutants caught; {len(equal)} survivors are equivalent, "
        f"{len(left)} are not: {len(caught) / max(different, 1):.1%} of {different}."
    )
    print(text)
    rows = {
        "command": " ".join(sys.argv),
        "summary": text,
        "survivors": [v.as_json() for v in left],
        "equivalent": [v.as_json() | {"reason": known[v.mutant.key]} for v in equal],
        "caught": [v.as_json() for v in caught],
    }
    options.report.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
