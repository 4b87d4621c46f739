"""Where jobs are graded: in worker processes on this machine, or on a Dask cluster.

Both pools take jobs and yield records as they arrive, in any order. If a worker is lost, another
one gets its job. After a few tries the job is recorded as failed, never as a zero.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from autograder.errors import AutograderError
from autograder.gradebook.records import Record, ungraded
from autograder.submissions.intake import grader_version
from autograder.submissions.job import Job

TRIES = 3
START_SECONDS = 300  # until a worker has imported torch, on a slow disk
JOB_SECONDS = 600  # a notebook's own limits are far below
UNSAFE = "MNISTDIFF_UNSAFE"  # set by `autograder grade --unsafe` for its workers


class Pool(Protocol):
    """A place where jobs are graded."""

    def run(self, jobs: Iterable[Job], keep: Path, stop: threading.Event) -> Iterator[Record]:
        """Yield records as they arrive, and start no new job once `stop` is set."""
        ...


class WorkerLost(Exception):
    """A worker process ended before it answered."""


class WorkerProcess:
    """A worker in its own process, reached through pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "autograder.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            text=True,
            start_new_session=True,  # Ctrl-C is for the grader only
        )
        self._read(START_SECONDS)

    def _read(self, seconds: float) -> Any:
        """Return the next answer; end the worker if it takes longer than `seconds`."""
        assert self.process.stdout
        watch = threading.Timer(seconds, self.process.kill)
        watch.daemon = True
        watch.start()
        line = self.process.stdout.readline()
        watch.cancel()
        if not line.endswith("\n"):
            self.close()
            raise WorkerLost(f"a worker ended ({self.process.returncode})")
        return json.loads(line)

    def grade(self, job: Job, keep: Path) -> Record:
        """Return the record of a job. Raises WorkerLost if the worker ends before it answers."""
        assert self.process.stdin
        try:
            print(json.dumps({"job": asdict(job), "keep": str(keep)}), file=self.process.stdin)
            self.process.stdin.flush()
        except OSError:
            self.close()
            raise WorkerLost("a worker has ended") from None
        return self._read(JOB_SECONDS)

    def close(self) -> None:
        """End the worker and its sandboxes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with contextlib.suppress(OSError):
                pipe.close()


class LocalPool:
    """Worker processes on this machine; a thread feeds each of them."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, jobs: Iterable[Job], keep: Path, stop: threading.Event) -> Iterator[Record]:
        """Yield records as they arrive; once `stop` is set, finish the running jobs only."""
        todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
        done: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
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
    todo: queue.SimpleQueue[Job],
    done: queue.SimpleQueue[Record | None],
    keep: Path,
    stop: threading.Event,
) -> None:
    """Give jobs to one worker until none is left; None in `done` marks the end."""
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
                    record = ungraded(job, "failed", str(lost))
                if record["state"] != "failed" or stop.is_set():
                    break
                record["tries"] = attempt
            done.put(record)
    finally:
        if worker:
            worker.close()
        done.put(None)


class DaskPool:
    """A Dask cluster, whose workers start sandboxes; a job that is graded twice counts once."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise AutograderError(
                "--scheduler needs Dask: run pip install 'mnistdiff[dask]' here and on the workers."
            ) from None
        try:
            self.client = Client(address, timeout=20)
        except (OSError, ValueError) as error:
            raise AutograderError(f"no Dask scheduler answers at {address} ({error}).") from None

    def run(self, jobs: Iterable[Job], keep: Path, stop: threading.Event) -> Iterator[Record]:
        """Yield records as they arrive; once `stop` is set, cancel the other jobs."""
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
                reason = f"the cluster lost the job: {future.exception()}"[:500]
                yield ungraded(job, "failed", reason)
        for future in futures:
            future.cancel()


_pool = threading.local()


def grade_on_dask(fields: dict[str, Any], keep: str, version: str) -> Record:
    """Grade a job in a thread of a Dask worker; each thread keeps a worker process."""
    job, reason = Job(**fields), ""
    if version != grader_version():
        return ungraded(job, "failed", "the Dask worker has another version of the grader")
    for _ in range(TRIES):
        try:
            worker = _pool.worker = getattr(_pool, "worker", None) or WorkerProcess()
            return worker.grade(job, Path(keep))
        except WorkerLost as lost:
            _pool.worker, reason = None, str(lost)
    return ungraded(job, "failed", reason)


def shard(jobs: Iterable[Job], part: str) -> list[Job]:
    """Return the jobs of shard "i/n", i from 1 to n; the key decides, so that all shards agree.

    Raises AutograderError if `part` is malformed.
    """
    try:
        index, count = (int(number) for number in part.split("/"))
        if not 1 <= index <= count:
            raise ValueError
    except ValueError:
        raise AutograderError(f"--shard is {part!r}; expected i/n with 1 <= i <= n.") from None
    return [job for job in jobs if int(job.key[:8], 16) % count == index - 1]
