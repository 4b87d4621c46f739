"""Where jobs are graded: on this machine's worker processes, or on a Dask cluster.

Both take jobs and yield records as they come, in any order. A worker that is lost costs nothing:
its job goes to another, a few times; only then it is recorded as failed, never as a zero.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.submissions.intake import grader_version
from autograder.submissions.job import Job

TRIES = 3
START_SECONDS = 300  # until a worker has imported torch, on a slow disk
JOB_SECONDS = 600  # a notebook's own limits are far below
UNSAFE = "MNISTDIFF_UNSAFE"  # set by `autograder grade --unsafe` for its workers


class WorkerLost(Exception):
    """A worker ended, or said nothing that can be read."""


class WorkerProcess:
    """A worker in a process of its own, asked over pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "autograder.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            text=True,
            start_new_session=True,  # Ctrl-C is the runner's to handle
        )
        self._read(START_SECONDS)

    def _read(self, seconds: float) -> dict[str, Any]:
        watch = threading.Timer(seconds, self.process.kill)
        watch.daemon = True
        watch.start()
        line = self.process.stdout.readline()
        watch.cancel()
        if not line.endswith("\n"):
            self.close()
            raise WorkerLost(f"a worker ended ({self.process.returncode})")
        return json.loads(line)

    def grade(self, job: Job, keep: Path) -> dict[str, Any]:
        """The record of a job. Raises Lost."""
        try:
            print(json.dumps({"job": asdict(job), "keep": str(keep)}), file=self.process.stdin)
            self.process.stdin.flush()
        except OSError:
            self.close()
            raise WorkerLost("a worker is gone") from None
        return self._read(JOB_SECONDS)

    def close(self) -> None:
        """End the worker, and with it its sandboxes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()


class LocalPool:
    """Worker processes on this machine, each fed by a thread."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, jobs: Iterable[Job], keep: Path, stop: threading.Event) -> Iterator[dict]:
        """Records as they come; once `stop` is set, only what is in work is finished."""
        todo: queue.SimpleQueue = queue.SimpleQueue()
        done: queue.SimpleQueue = queue.SimpleQueue()
        for job in jobs:
            todo.put(job)
        count = min(self.workers, todo.qsize())
        threads = [
            threading.Thread(target=_feed, args=(todo, done, keep, stop), daemon=True)
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        running = count
        while running:
            record = done.get()
            if record is None:
                running -= 1
            else:
                yield record


def _feed(
    todo: queue.SimpleQueue, done: queue.SimpleQueue, keep: Path, stop: threading.Event
) -> None:
    """One thread: a worker, and jobs for it until there is none."""
    worker = None
    try:
        while not stop.is_set():
            try:
                job = todo.get_nowait()
            except queue.Empty:
                break
            for attempt in range(1, TRIES + 1):
                try:
                    worker = worker or WorkerProcess()
                    record = worker.grade(job, keep)
                except (WorkerLost, OSError) as lost:
                    worker = None
                    record = job.record("failed", reason=str(lost), time=time.time())
                if record["state"] != "failed" or stop.is_set():
                    break
                record["tries"] = attempt
            done.put(record)
    finally:
        if worker:
            worker.close()
        done.put(None)


class DaskPool:
    """A Dask cluster: its workers start sandboxes; what is graded twice counts once."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise AutograderError(
                "--scheduler needs Dask: pip install 'mnistdiff[dask]' here and on the workers."
            ) from None
        try:
            self.client = Client(address, timeout=20)
        except (OSError, ValueError) as error:
            raise AutograderError(f"no Dask scheduler answers at {address} ({error}).") from None

    def run(self, jobs: Iterable[Job], keep: Path, stop: threading.Event) -> Iterator[dict]:
        """Records as they come."""
        from distributed import as_completed

        version = grader_version()
        futures = {
            self.client.submit(
                grade_on_dask, asdict(job), str(keep), version, key=job.key, retries=TRIES
            ): job
            for job in jobs
        }
        for future in as_completed(futures):
            if stop.is_set():
                break
            job = futures[future]
            if future.status == "finished":
                yield future.result()
            else:
                reason = f"the cluster lost it: {future.exception()}"[:500]
                yield job.record("failed", reason=reason, time=time.time())
        for future in futures:
            future.cancel()


_pool = threading.local()


def grade_on_dask(job: dict[str, Any], keep: str, version: str) -> dict[str, Any]:
    """Grade a job in a Dask worker, by a worker process that each of its threads keeps."""
    if version != grader_version():
        reason = "the Dask worker has another version of the grader"
        return Job(**job).record("failed", reason=reason, time=time.time())
    for _ in range(TRIES):
        try:
            if not getattr(_pool, "worker", None):
                _pool.worker = WorkerProcess()
            return _pool.worker.grade(Job(**job), Path(keep))
        except WorkerLost as lost:
            _pool.worker, reason = None, str(lost)
    return Job(**job).record("failed", reason=reason, time=time.time())


def shard(jobs: Iterable[Job], part: str) -> list[Job]:
    """The jobs of shard "i/n", i from 1 to n: by their key, so that all shards agree."""
    try:
        index, of = (int(number) for number in part.split("/"))
        if not 1 <= index <= of:
            raise ValueError
    except ValueError:
        raise AutograderError(f"--shard is {part!r}; expected i/n with 1 <= i <= n.") from None
    return [job for job in jobs if int(job.key[:8], 16) % of == index - 1]
