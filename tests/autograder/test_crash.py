"""After a kill at any moment: does the same command end as if nothing had happened?

Three kills of each process here; `make soak` does fifty.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import small_course
from small_course import ASSIGNMENT, copies, fixture, grade, gradebook, query, start

from autograder.gradebook import ledger

KILLS = 50 if "MNISTDIFF_SOAK" in os.environ else 3
PENALTY = """
from nbgrader.plugins import BasePlugin

class Tenth(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return 0.1 * score

c = get_config()
c.AssignLatePenalties.plugin_class = Tenth
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """A course with a good student, and a late one with a mistake."""
    from nbgrader.api import Gradebook

    from autograder.gradebook.differences import settings

    course = small_course.make(tmp_path_factory.mktemp("crash") / "fresh")
    small_course.hand_in(course, "ada")
    wrong = fixture("latent_loss/wrong_sum")
    small_course.hand_in(course, "bob", latent_loss=wrong)
    (course / "nbgrader_local.py").write_text(PENALTY)
    (course / "receipts.csv").write_text(
        f"student,assignment,received\nada,{ASSIGNMENT},2026-05-01T09:00:00Z\n"
        f"bob,{ASSIGNMENT},2026-05-01T18:00:00+02:00\n"
    )
    settings(course)  # lets nbgrader find its helper
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        book.add_assignment(ASSIGNMENT, duedate="2026-05-01 12:00:00")
    return course


@pytest.fixture(scope="module")
def unbroken(fresh) -> tuple[Path, float, float]:
    """The course after a run without trouble; seconds until all was graded, and in the end."""
    course = fresh.with_name("unbroken")
    shutil.copytree(fresh, course)
    started = time.monotonic()
    with start(course, stdout=subprocess.DEVNULL) as process:
        at = [time.monotonic() for line in process.stderr if "graded in" in line]
    assert process.returncode == 0
    return course, at[0] - started, time.monotonic() - started


@pytest.fixture(scope="module")
def prepared(fresh, unbroken) -> Path:
    """The course as a later run finds it: nbgrader knows its cells already."""
    course = fresh.with_name("prepared")
    shutil.copytree(fresh, course)
    shutil.copy(unbroken[0] / "gradebook.db", course)
    for table in ("grade", "comment", "submitted_notebook", "submitted_assignment", "student"):
        query(course, f"DELETE FROM {table}")
    return course


def test_the_unbroken_run_is_as_it_should_be(unbroken):
    rows = gradebook(unbroken[0])
    assert {row[0] for row in rows} == {"ada", "bob"}
    assert all(row[3] is not None for row in rows)
    assert {row[6] for row in rows if row[0] == "ada"} == {None}
    assert {row[1]: row[6] for row in rows if row[0] == "bob"} == {
        name: pytest.approx(0.1 * sum(r[3] for r in rows if r[:2] == ("bob", name)))
        for name in small_course.NOTEBOOKS
    }


def check(course: Path, unbroken: Path) -> None:
    """Nothing lost, nothing doubled, nothing wrong."""
    assert gradebook(course) == gradebook(unbroken)
    assert copies(course) == copies(unbroken)
    found = ledger.read(course)
    assert {r["state"] for r in found.values()} == {"graded"}
    assert len(found) == 2 * len(small_course.NOTEBOOKS)


def below(pid: int) -> list[tuple[int, str]]:
    """All descendants of a process, and their command lines."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                found += [(child, line), *below(child)]
    return found


def kill(process: subprocess.Popen, what: str) -> bool:
    """Kill -9 the grader itself, or every process below it of that name."""
    pids = [process.pid] if not what else [p for p, line in below(process.pid) if what in line]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


def broken_run(course: Path, moments: list[float], what: str) -> int:
    """Grade, and kill at these seconds of the run; the exit status."""
    process = start(course, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = time.monotonic()
    for moment in moments:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, started + moment - time.monotonic()))
        kill(process, what)
    return process.wait(timeout=600)


@pytest.mark.parametrize("first", range(0, KILLS, 3))
def test_the_grader_is_killed(fresh, unbroken, tmp_path, first):
    """While it grades, or before; once more in what is left; and while it enters the marks."""
    (reference, graded, usual), dice = unbroken, random.Random(first)
    course = tmp_path / "course"
    shutil.copytree(fresh, course)
    broken_run(course, [dice.uniform(0.3, 1.0) * graded], "")
    broken_run(course, [dice.uniform(0.0, 1.0) * graded], "")
    with start(course, stdout=subprocess.DEVNULL) as process:
        for line in process.stderr:
            if "graded in" in line:
                time.sleep(dice.uniform(0.0, 1.0) * (usual - graded))
                kill(process, "")
    grade(course)
    check(course, reference)


WHAT = {"worker": "autograder.grading.worker", "fork server": "inside.fork_server"}


@pytest.mark.parametrize("first", range(0, KILLS, 3))
@pytest.mark.parametrize("what", WHAT)
def test_a_worker_or_its_warm_parent_is_killed(prepared, unbroken, tmp_path, what, first):
    """Three times in one run: then a job may have failed, but is never a zero."""
    (reference, graded, _), dice = unbroken, random.Random(what + str(first))
    course = tmp_path / "course"
    shutil.copytree(prepared, course)
    moments = sorted(dice.uniform(0.1, 1.5) * graded for _ in range(min(3, KILLS - first)))
    broken_run(course, moments, WHAT[what])
    judged = [r for r in ledger.read(course).values() if r["state"] == "graded"]
    points = {(r["student"], c["grade_id"]): c["points"] for r in judged for c in points_of(r)}
    assert points.items() <= small_course.marks(reference).items()
    grade(course)
    check(course, reference)


def points_of(record: dict) -> list[dict]:
    return record["verdict"]["cells"]


def test_the_first_interrupt_finishes_what_is_in_work(prepared, unbroken, tmp_path):
    course = tmp_path / "course"
    shutil.copytree(prepared, course)
    process = start(course)
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("[1/4]"):
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate(timeout=600)
    assert process.returncode == 130, rest
    assert "run the same command again" in rest
    assert "Traceback" not in rest
    done = ledger.read(course).values()
    assert 1 <= len(done) < 4
    assert {record["state"] for record in done} == {"graded"}
    again = grade(course)
    assert f"[1/{4 - len(done)}]" in again
    check(course, unbroken[0])


def test_two_graders_on_one_ledger(prepared, unbroken, tmp_path):
    course = tmp_path / "course"
    shutil.copytree(prepared, course)
    with ledger.Ledger(ledger.folder(course) / "main.jsonl"):
        assert "another grader is writing" in grade(course, "--workers", "1", status=2)
    assert not ledger.read(course)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A tmpfs of this size; what is yielded gives it another one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs the right to mount one")

    def resize(size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


KEPT = ("spool", "notebooks")


def kilobytes(folder: Path) -> int:
    """What a folder's files take on a disk, in pages of 4 KB."""
    return sum(-(-path.stat().st_size // 4096) * 4 for path in folder.iterdir())


def test_the_disk_is_full(prepared, unbroken, tmp_path):
    with small_disk(tmp_path / "disk", "64m") as resize:
        course = tmp_path / "disk" / "course"
        shutil.copytree(prepared, course)
        (course / ".autograder").mkdir()
        used = shutil.disk_usage(course).used // 1024
        sizes = [kilobytes(unbroken[0] / ".autograder" / name) for name in KEPT]
        for room in (0, sizes[0] + 8, sum(sizes) + 8):  # at each of them, then at the gradebook
            resize(f"{used + room}k")
            process = start(course)
            _, said = process.communicate(timeout=600)
            assert process.returncode in (1, 2), said
            assert "No space left" in said or "disk is full" in said, said
            assert "Traceback" not in said
        resize("64m")
        grade(course)
        check(course, unbroken[0])


def test_a_corrupt_submission_stops_no_one(prepared, unbroken, tmp_path):
    course = tmp_path / "course"
    shutil.copytree(prepared, course)
    shutil.copytree(unbroken[0] / ".autograder", course / ".autograder")  # ada, bob: graded
    for student, text in {"aaa": "{", "abc": "\0" * 1000, "zoe": '{"nbformat": 4}'}.items():
        small_course.hand_in(course, student)
        for path in (course / "submitted" / student / ASSIGNMENT).glob("*.ipynb"):
            path.write_text(text)
    said = grade(course)
    assert "6 rejected" in said
    found = {r for r in gradebook(course) if r[0] in ("ada", "bob")}
    assert found == set(gradebook(unbroken[0]))
    for row in gradebook(course):
        if row[0] not in ("ada", "bob"):
            assert (row[3], row[5]) == (None, 1), "no mark, and a person is asked"


def test_kills_find_their_processes(prepared, tmp_path):
    """The tests above would be green if they killed nothing."""
    course = tmp_path / "course"
    shutil.copytree(prepared, course)
    process = start(course, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found, until = set(), time.monotonic() + 60
    while len(found) < len(WHAT) and time.monotonic() < until and process.poll() is None:
        lines = [line for _, line in below(process.pid)]
        found |= {what for what, name in WHAT.items() if any(name in line for line in lines)}
        time.sleep(0.05)
    threading.Timer(0, process.kill).start()
    process.wait()
    assert found == set(WHAT)
