"""Are the marks the same whoever grades: workers, shards, a Dask cluster, stock nbgrader?"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import small_course
from small_course import ASSIGNMENT, copies, fixture, gradebook, marks

from autograder import cli
from autograder.errors import AutograderError
from autograder.gradebook import ledger
from autograder.gradebook.records import Record, graded, ungraded
from autograder.grading import pools
from autograder.grading.pools import LocalPool, WorkerLost, shard
from autograder.submissions.job import Job

Course = Path


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """The command sets handlers in this process."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Course:
    """Right answers, honest variants, mistakes, and nothing at all."""
    course = small_course.make(tmp_path_factory.mktemp("runner") / "fresh")
    small_course.hand_in(
        course,
        "variant",
        kl_per_dimension=fixture("kl_per_dimension/right_loops"),
        latent_loss=fixture("latent_loss/right_loop_over_rows"),
    )
    small_course.hand_in(
        course,
        "wrong",
        kl_per_dimension=fixture("kl_per_dimension/wrong_no_half"),
        latent_loss=fixture("latent_loss/wrong_sum"),
        scaling_factor="raise NotImplementedError('fill in this cell')",
    )
    small_course.hand_in(course, "part")
    (course / "submitted" / "part" / ASSIGNMENT / f"{small_course.NOTEBOOKS[0]}.ipynb").unlink()
    return course


def grade(course: Course, *arguments: str) -> int:
    return cli.main(["grade", "--course", str(course), *arguments])


@pytest.fixture(scope="module")
def one(fresh) -> Course:
    """Graded by one worker."""
    course = Path(shutil.copytree(fresh, fresh.with_name("one")))
    assert small_course.grade(course, "--workers", "1")
    return course


@pytest.fixture
def course(fresh, one, tmp_path) -> Course:
    """Not graded; nbgrader knows its cells."""
    course = Path(shutil.copytree(fresh, tmp_path / "course"))
    shutil.copy(one / "gradebook.db", course)
    for table in ("grade", "comment", "submitted_notebook", "submitted_assignment", "student"):
        small_course.query(course, f"DELETE FROM {table}")
    return course


def verdicts(course: Course) -> dict[str, Any]:
    """All that was decided, by job, without the times."""
    found = {}
    for key, record in ledger.read(course).items():
        cells = record.get("verdict", {}).get("cells", [])
        checks = [[c | {"seconds": 0} for c in cell["checks"]] for cell in cells]
        found[key] = (record["state"], [cell | {"checks": None} for cell in cells], checks)
    return found


def same(course: Course, other: Course) -> None:
    assert verdicts(course) == verdicts(other)
    assert gradebook(course) == gradebook(other)
    assert copies(course) == copies(other)


def test_what_one_worker_finds(one):
    found = marks(one)
    assert found["variant", "test_latent_loss"] == 5
    assert found["variant", "test_kl_per_dimension"] == 3
    assert 0 < found["wrong", "test_kl_per_dimension"] < 3
    assert found["wrong", "test_scaling_factor"] == 0
    assert found["part", "test_active_units"] == 0
    assert found["part", "test_scaling_factor"] == 3


def test_several_workers(course, one):
    assert grade(course, "--workers", "4") == 0
    same(course, one)


def test_shards_and_their_merge(course, one):
    """Each on a machine of its own, without the others' results."""
    for part in ("1/3", "2/3", "3/3"):
        elsewhere = Path(shutil.copytree(course, course.with_name(part.replace("/", "-"))))
        assert grade(elsewhere, "--shard", part, "--workers", "1") == 0
        assert not gradebook(elsewhere), "a shard enters nothing"
        shutil.copytree(elsewhere / ".autograder", course.with_name("merged"), dirs_exist_ok=True)
    shutil.move(course.with_name("merged"), course / ".autograder")
    pool = LocalPool.run
    try:
        LocalPool.run = lambda self, jobs, *_: iter([*jobs][:0]) if not [*jobs] else 1 / 0
        assert grade(course) == 0
    finally:
        LocalPool.run = pool
    same(course, one)


def test_a_second_run(one, tmp_path):
    course = Path(shutil.copytree(one, tmp_path / "course"))
    before = ledger.read(course)
    assert grade(course) == 0
    assert ledger.read(course) == before
    assert grade(course, "--workers", "1") == 0
    assert cli.main(["regrade", "--course", str(course), "--workers", "1", "wrong"]) == 0
    after = ledger.read(course)
    again = {key for key in before if after[key]["time"] > before[key]["time"]}
    assert {before[key]["student"] for key in again} == {"wrong"}
    same(course, one)


def test_each_submitted_file_is_read_once(course, one, monkeypatch):
    reads: Counter[Path] = Counter()
    opened = os.open

    def counting(path: Any, *arguments: Any, **more: Any) -> int:
        reads[Path(os.fsdecode(path))] += 1
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", counting)
    assert grade(course, "--workers", "1") == 0
    files = list((course / "submitted").rglob("*.ipynb"))
    assert {path: reads[path] for path in files} == dict.fromkeys(files, 1)
    same(course, one)


def test_a_file_that_is_replaced_during_the_run_is_graded_in_the_next_one(course, one, monkeypatch):
    submitted, run = course / "submitted", LocalPool.run

    def replacing(self: LocalPool, *arguments: Any) -> Iterator[Record]:
        shutil.copytree(submitted / "variant", submitted / "wrong", dirs_exist_ok=True)
        yield from run(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(LocalPool, "run", replacing)
        assert grade(course, "--workers", "1") == 0
    same(course, one)  # the marks belong to the files that were graded
    assert grade(course, "--workers", "1") == 0
    found = marks(course)
    assert {cell: found["wrong", cell] for who, cell in found if who == "variant"} == {
        cell: mark for (who, cell), mark in found.items() if who == "variant"
    }


def test_a_dask_cluster(course, one):
    distributed = pytest.importorskip("distributed", reason="pip install 'mnistdiff[dask]'")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    quiet = {"dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(**options, **quiet) as cluster:
        assert grade(course, "--scheduler", cluster.scheduler_address) == 0
    same(course, one)


def test_a_scheduler_that_is_not_there(course, capsys):
    pytest.importorskip("distributed", reason="pip install 'mnistdiff[dask]'")
    assert grade(course, "--scheduler", "tcp://127.0.0.1:1") == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err


def test_stock_nbgrader(fresh, one, tmp_path):
    course = Path(shutil.copytree(fresh, tmp_path / "course"))
    shutil.rmtree(course / "submitted" / "part")  # stock leaves a missing notebook as it is
    for command in ("generate_assignment", "autograde"):
        line = [sys.executable, "-m", "nbgrader", command, ASSIGNMENT, "--force"]
        done = subprocess.run(
            line, cwd=course, env=small_course.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
    ours = {(s, cell): mark for (s, cell), mark in marks(one).items() if s != "part"}
    assert marks(course) == ours


def job(number: int, **more: Any) -> Job:
    names = {"student": f"s{number}", "assignment": "a", "notebook": "n", "submission": ""}
    where = {"received": None, "spooled": "", "released": ""}
    return Job(f"{number:024x}", **(names | where | more))


@pytest.mark.parametrize("of", [1, 3, 7])
def test_every_job_is_in_one_shard(of):
    jobs = [job(number << 64) for number in range(100)]
    parts = [shard(jobs, f"{part}/{of}") for part in range(1, of + 1)]
    assert sorted(j.key for part in parts for j in part) == [j.key for j in jobs]


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_a_shard_that_is_none(part):
    with pytest.raises(AutograderError, match="expected i/n"):
        shard([], part)


class FakeWorker:
    """Stands in for a worker process: loses, fails or grades as its script says."""

    def __init__(self, script: dict[str, list[str]]) -> None:
        self.script, self.lock = script, threading.Lock()
        self.started = self.closed = 0

    def __call__(self) -> "FakeWorker":
        self.started += 1
        return self

    def grade(self, job: Job, keep: Path) -> Record:
        with self.lock:
            todo = self.script.get(job.student, [])
            what = todo.pop(0) if todo else "graded"
        if what == "lost":
            raise WorkerLost("a worker ended (-9)")
        if what == "failed":
            return ungraded(job, "failed", what)
        return graded(job, {"cells": [], "blank": [], "notes": [], "seconds": {}, "restarts": 0})

    def close(self) -> None:
        self.closed += 1


def run(monkeypatch, script: dict[str, list[str]], stop: Callable[[int], bool] = bool) -> list:
    monkeypatch.setattr(pools, "WorkerProcess", FakeWorker(script))
    event, found = threading.Event(), []
    for record in LocalPool(2).run([job(n) for n in range(5)], Path("."), event):
        found.append(record)
    return sorted(found, key=lambda record: record["student"])


def test_a_lost_job_is_tried_again(monkeypatch):
    found = run(monkeypatch, {"s1": ["lost", "failed"], "s3": ["lost"]})
    assert [record["state"] for record in found] == ["graded"] * 5


def test_a_job_that_is_always_lost_is_failed_and_not_zero(monkeypatch):
    found = run(monkeypatch, {"s1": ["lost"] * 9, "s3": ["failed"] * 9})
    assert [r["state"] for r in found] == ["graded", "failed", "graded", "failed", "graded"]
    assert (found[1]["reason"], found[1]["tries"]) == ("a worker ended (-9)", 3)
    assert "verdict" not in found[1]


def test_a_worker_that_cannot_be_started_fails_its_jobs(monkeypatch):
    def fail() -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(pools, "WorkerProcess", fail)
    found = list(LocalPool(2).run([job(1), job(2)], Path("."), threading.Event()))
    assert {record["state"] for record in found} == {"failed"}
    assert len(found) == 2


def test_after_a_stop_nothing_new_is_begun(monkeypatch):
    monkeypatch.setattr(pools, "WorkerProcess", FakeWorker({}))
    stop = threading.Event()
    stop.set()
    assert list(LocalPool(2).run([job(1), job(2)], Path("."), stop)) == []


def test_a_worker_that_hangs_is_ended(monkeypatch, tmp_path):
    """A process that never says that it is ready."""
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(pools, "START_SECONDS", 0.5)
    monkeypatch.setattr(pools.sys, "executable", str(program))
    with pytest.raises(WorkerLost, match="a worker ended"):
        pools.WorkerProcess()
