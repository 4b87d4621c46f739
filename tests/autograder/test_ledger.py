"""Does the ledger keep what it was told, whatever happens to the file or the disk?"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.errors import AutograderError
from autograder.gradebook import ledger
from autograder.gradebook.ledger import Ledger


def record(key: str, state: str = "graded", time: float = 1.0, **more: object) -> dict:
    verdict = {"verdict": {}} if state == "graded" else {}
    return {"key": key, "state": state, "time": time} | verdict | more


def write(course: Path, *records: dict, name: str = "main") -> Path:
    path = ledger.folder(course) / f"{name}.jsonl"
    with Ledger(path) as book:
        for each in records:
            book.append(each)
    return path


def test_the_newest_record_of_a_job_counts_in_whatever_file_it_is(tmp_path):
    write(tmp_path, record("a", time=2.0, n=2), record("b", n=0), name="main")
    write(tmp_path, record("a", time=3.0, n=3), record("b", time=0.5, n=9), name="shard-1-of-2")
    assert {key: found["n"] for key, found in ledger.read(tmp_path).items()} == {"a": 3, "b": 0}


def test_a_failure_never_hides_a_result(tmp_path):
    write(tmp_path, record("a", time=1.0), record("a", "failed", time=2.0), record("b", "failed"))
    found = ledger.read(tmp_path)
    assert (found["a"]["state"], found["b"]["state"]) == ("graded", "failed")


@pytest.mark.parametrize("cut", [2, 10, 30])  # one less is a whole record without its end
def test_a_torn_last_line_costs_that_line_only(tmp_path, cut):
    path = write(tmp_path, record("a"), record("b"))
    os.truncate(path, path.stat().st_size - cut)
    assert set(ledger.read(tmp_path)) == {"a"}
    write(tmp_path, record("c"))
    assert set(ledger.read(tmp_path)) == {"a", "c"}
    write(tmp_path, record("b"))
    assert set(ledger.read(tmp_path)) == {"a", "b", "c"}


def test_lines_that_are_no_records_are_passed_over(tmp_path):
    path = write(tmp_path, record("a"))
    rubbish = [b"\xff\xfe\x00", b"[]", b'{"state": "graded"}', b"null", b'{"key": 1, "time": 2}']
    rubbish += [b'{"key": "a", "state": "graded", "time": 9}']
    rubbish += [b'{"key": "x", "state": "graded", "time": "now"}', b"", b"[" * 100_000]
    path.write_bytes(path.read_bytes() + b"\n".join(rubbish))
    write(tmp_path, record("b"))
    found = ledger.read(tmp_path)
    assert {key: record["time"] for key, record in found.items()} == {"a": 1.0, "b": 1.0}


def test_a_second_writer_is_refused_in_words(tmp_path):
    path = ledger.folder(tmp_path) / "main.jsonl"
    with Ledger(path), pytest.raises(AutograderError, match="another grader is writing"):
        Ledger(path)
    write(tmp_path, record("a"))  # the first one has let go
    write(tmp_path, record("b"), name="shard-1-of-2")
    assert set(ledger.read(tmp_path)) == {"a", "b"}


def test_a_value_that_is_no_json_is_not_written(tmp_path):
    path = write(tmp_path, record("a"))
    with Ledger(path) as book, pytest.raises(ValueError, match="not JSON compliant"):
        book.append(record("b", points=float("nan")))
    assert set(ledger.read(tmp_path)) == {"a"}


def on_small_disk(path: Path, size: int, *records: dict) -> subprocess.CompletedProcess:
    """Append records in a process whose files cannot grow beyond a size."""
    code = (
        "import json, sys; from pathlib import Path\n"
        "from autograder.gradebook.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])) as book:\n"
        "    for record in json.loads(sys.argv[2]): book.append(record)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(path), json.dumps(records)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("room", [0, 20])  # nothing of the line fits, or a part of it
def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path, room):
    path = write(tmp_path, record("a"))
    before = path.read_bytes()
    done = on_small_disk(path, len(before) + room, record("b"))
    assert "AutograderError" in done.stderr
    assert "main.jsonl cannot be written" in done.stderr
    assert path.read_bytes() == before
    write(tmp_path, record("b"))
    assert set(ledger.read(tmp_path)) == {"a", "b"}


def test_a_line_of_megabytes_is_written_whole(tmp_path):
    write(tmp_path, record("a", text="x" * 5_000_000))
    assert len(ledger.read(tmp_path)["a"]["text"]) == 5_000_000


def test_a_regrade_counts_although_the_clock_went_back(tmp_path):
    write(tmp_path, record("a", time=9.0, n=1), record("a", time=2.0, n=2))
    assert ledger.read(tmp_path)["a"]["n"] == 2


def test_a_regrade_counts_although_the_clock_of_its_shard_is_behind(tmp_path):
    first = record("a", time=9.0, n=1)
    again = record("a", time=2.0, n=2, turn=ledger.next_turn(first))
    write(tmp_path, again, name="main")
    write(tmp_path, first, name="shard-1-of-2")
    assert ledger.read(tmp_path)["a"]["n"] == 2
    write(tmp_path, record("a", "failed", time=99.0, turn=7), name="shard-2-of-2")
    assert ledger.read(tmp_path)["a"]["n"] == 2
