"""Running the open units: in processes of this machine, or on a Dask cluster."""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from mnistdiff.data import cache_folder
from mnistdiff.errors import MnistdiffError
from mnistdiff.reproduce.catalogue import Experiment, Unit, plan
from mnistdiff.reproduce.files import RESULTS, add_run, is_done
from mnistdiff.reproduce.worker import describe
from mnistdiff.storage import check_writable, claim

TAKEN = "taken"  # the answer for a unit that another command is running


class Pool(Protocol):
    """A place where units run; `slots` of them at once."""

    slots: int

    def start(self, described: dict[str, Any]) -> Future[dict[str, Any]]:
        """Start a unit; the future gives its run and pictures, or an "error"."""
        ...

    def close(self) -> None:
        """End what still runs."""
        ...


class LocalPool:
    """Processes of this machine with one thread each; a thread waits for each of them."""

    def __init__(self, workers: int) -> None:
        self.slots = workers
        self._threads: Executor = ThreadPoolExecutor(workers)
        self._processes: set[subprocess.Popen[str]] = set()

    def start(self, described: dict[str, Any]) -> Future[dict[str, Any]]:
        """Start a unit in a process of its own."""
        return self._threads.submit(run_in_process, described, self._processes)

    def close(self) -> None:
        """Kill the running processes: each loses at most one epoch."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._processes):
            process.kill()
        self._threads.shutdown()


class DaskPool:
    """A Dask cluster, whose workers start one process per unit."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise MnistdiffError(
                "--scheduler needs Dask: run pip install 'mnistdiff[dask]' here and on the workers."
            ) from None
        try:
            self._client = Client(address, timeout=20)
        except (OSError, ValueError) as error:
            raise MnistdiffError(f"no Dask scheduler answers at {address} ({error}).") from None
        threads: Any = self._client.nthreads()  # a dict, as the client is not asynchronous
        self.slots = max(sum(threads.values()), 1)
        self._executor = self._client.get_executor(pure=False, retries=2)

    def start(self, described: dict[str, Any]) -> Future[dict[str, Any]]:
        """Start a unit on a worker of the cluster."""
        return self._executor.submit(run_in_process, described)

    def close(self) -> None:
        """Leave the cluster; units that have started there run on and fill its caches."""
        self._executor.shutdown(wait=False)
        self._client.close()


def run_in_process(
    described: dict[str, Any], processes: set[subprocess.Popen[str]] | None = None
) -> dict[str, Any]:
    """Run a unit in a fresh process with one thread; return its answer, or {"error": sentence}.

    The process is in `processes` while it runs. A unit that another command is running is left to
    it: {"taken": True}.
    """
    with claim(cache_folder() / "reproduce" / described["key"]) as mine:
        if not mine:
            return {TAKEN: True}
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "mnistdiff.reproduce.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                text=True,
                start_new_session=True,  # Ctrl-C is for the command only
            )
            running = processes if processes is not None else set()
            running.add(process)
            answer = _talk(process, described)
            running.discard(process)
            if process.returncode:
                errors.seek(0)
                return {"error": _last_line(errors.read(), process.returncode)}
    return json.loads(answer)


def _talk(process: subprocess.Popen[str], described: dict[str, Any]) -> str:
    """Send the unit and return the answer; the open input tells the process that we still run."""
    assert process.stdin
    assert process.stdout
    with process:
        with suppress(OSError):
            print(json.dumps(described), file=process.stdin, flush=True)
        return process.stdout.read()


def _last_line(text: str, code: int) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else f"its process ended with {code}, without a message"


def reproduce(
    experiments: Sequence[Experiment],
    *,
    profile: str | None = None,
    seeds: int | None = None,
    out: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> dict[str, Any]:
    """Run all units that are not in the result files yet; return how many ran and failed.

    Raises MnistdiffError if another profile than the experiments' own would replace the book's
    results, if the folder cannot be written, or if no scheduler answers.
    """
    units = plan(experiments, profile, seeds)
    if profile is not None and out is None:
        raise MnistdiffError(
            f"profile is {profile!r}; only the experiments' own profiles may write to "
            f"{RESULTS}. Choose another folder with --out."
        )
    out = out or RESULTS
    check_writable(out / "figures" / "grid.png")
    waiting = [unit for unit in units if not is_done(out, unit)]
    if workers is not None and workers < 1:
        raise MnistdiffError(f"workers is {workers}; at least 1 is needed.")
    progress = Progress(len(units), len(waiting))
    if waiting:
        pool = DaskPool(scheduler) if scheduler else LocalPool(workers or _cores())
        try:
            _run_all(waiting, pool, out, progress)
        finally:
            pool.close()
    return progress.summary()


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _run_all(waiting: list[Unit], pool: Pool, out: Path, progress: "Progress") -> None:
    running: dict[Future[dict[str, Any]], Unit] = {}
    while waiting or running:
        while len(running) < pool.slots and (unit := _next_free(waiting, list(running.values()))):
            waiting.remove(unit)
            if is_done(out, unit):  # by another command
                progress.finish(unit, {TAKEN: True})
            else:
                running[pool.start(describe(unit))] = unit
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            unit = running.pop(future)
            answer = _answer_of(future)
            if "run" in answer:
                pictures = {n: base64.b64decode(each) for n, each in answer["pictures"].items()}
                add_run(out, unit, answer["run"], pictures)
            left = [*waiting, *running.values()]
            progress.finish(unit, answer, left, pool.slots)


def _answer_of(future: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        return future.result()
    except Exception as error:  # a lost worker of the cluster must not stop the others
        return {"error": f"{type(error).__name__}: {error}"}


def _next_free(waiting: Sequence[Unit], running: Sequence[Unit]) -> Unit | None:
    """Return the first unit whose networks no running unit trains: it would only wait for them."""
    busy = frozenset().union(*(unit.trainings for unit in running))
    return next((unit for unit in waiting if not unit.trainings & busy), None)


class Progress:
    """Counts units, prints a line for each, and estimates the time left."""

    def __init__(self, planned: int, open_units: int) -> None:
        self.planned, self.done = planned, planned - open_units
        self.ran, self.taken = 0, 0
        self.failed: dict[str, str] = {}
        self.started = time.perf_counter()
        self._hours: dict[str, list[float]] = {}  # of finished units, by experiment
        self._measured, self._estimated = 0.0, 0.0  # hours of all finished units

    def finish(
        self, unit: Unit, answer: dict[str, Any], left: Sequence[Unit] = (), slots: int = 1
    ) -> None:
        """Count a unit and print its line."""
        if "error" in answer:
            self.failed[unit.label] = answer["error"]
            outcome = f"failed: {answer['error']}"
        elif TAKEN in answer:
            self.taken += 1
            outcome = "left to another command"
        else:
            self.ran += 1
            self.done += 1
            seconds = answer["run"]["seconds"]
            self._hours.setdefault(unit.experiment.name, []).append(seconds / 3600)
            self._measured += seconds / 3600
            self._estimated += unit.experiment.hours
            outcome = f"{seconds:,.0f} s"
        hours = self.hours_left(left, slots)
        print(
            f"[{self.done}/{self.planned}] {unit.label}: {outcome}; about {hours:.1f} h left",
            file=sys.stderr,
            flush=True,
        )

    def hours_left(self, left: Sequence[Unit], slots: int) -> float:
        """Return the hours left: an experiment's own mean time, or its estimate.

        The estimates are corrected by the ratio of measured to estimated times so far.
        """
        return sum(self._expected(unit) for unit in left) / slots

    def _expected(self, unit: Unit) -> float:
        if measured := self._hours.get(unit.experiment.name):
            return sum(measured) / len(measured)
        ratio = self._measured / self._estimated if self._estimated else 1.0
        return unit.experiment.hours * ratio

    def summary(self) -> dict[str, Any]:
        """Return the counts; "ok" is False if a unit failed."""
        return {
            "units": self.planned,
            "ran": self.ran,
            "done_before": self.planned - self.ran - self.taken - len(self.failed),
            "with_another_command": self.taken,
            "failed": self.failed,
            "seconds": time.perf_counter() - self.started,
            "ok": not self.failed,
        }
