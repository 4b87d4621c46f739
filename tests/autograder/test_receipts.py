"""When a submission came in: read as nbgrader reads it, from the right source, or told."""

import codecs

import pytest
from submissions import Class, filled

from autograder import cli
from autograder.submissions import intake
from autograder.submissions.receipts import as_utc


@pytest.fixture
def school(tmp_path) -> Class:
    school = Class(tmp_path)
    school.hand_in("ann", filled())
    return school


def received(school: Class, student: str = "ann") -> str | None:
    jobs = intake.jobs(school.course, "project3")
    return next(job.received for job in jobs if job.student == student)


def status(school: Class, capsys) -> str:
    assert cli.main(["status", "--course", str(school.course)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-12-02 23:00:00 EST", 4),
        ("2026-12-02 23:00:00.123456 CET", 22),
        ("2026-12-02 23:00:00 Europe/Berlin", 22),
        ("2026-12-02 23:00:00 UTC", 23),
        ("2026-12-02 23:00:00 +0100", 22),
        ("2026-12-02T23:00:00+01:00", 22),
        ("20261202T230000", 23),
        ("2026-07-02 23:00:00 CEST", 21),
        ("2026-07-02 23:00:00 EDT", 3),
        ("Wed Dec  2 23:00:00 CET 2026", 22),
        ("2026-12-02 11:00:00 PM", 23),
        ("2026-12-02 11:00:00 PM EST", 4),
    ],
)
def test_a_time_is_read_in_its_own_zone(text, hour):
    assert as_utc(text)[10:16] == f"T{hour:02d}:00"


def test_zones_mean_what_they_mean_to_nbgrader():
    from datetime import datetime

    from nbgrader.utils import parse_utc

    for text in ("2026-12-02 23:00:00 EST", "2026-12-02 23:00:00 CET", "2026-12-02 23:00:00 UTC",
                 "2026-12-02 23:00:00", "2026-12-02 23:00:00.5 Europe/Paris"):  # fmt: skip
        ours = datetime.fromisoformat(as_utc(text)).replace(tzinfo=None)
        assert ours == parse_utc(text), text


@pytest.mark.parametrize(
    "text",
    ["02.12.2026 23:00", "23:" + 29 * "9", "2026-12-02 24:" + 42 * "9",
     "2026-12-02 23:00:00 XYZ", "2026-12-02 23:00:00 IST", "23:00", "Wed", "2 Dec 2026", "soon",
     "2026-12-02 23:00:00 ../../etc/passwd", "9" * 5000, "2026-12-02 23:00" + 90 * " " + "x"],
)  # fmt: skip
def test_a_time_that_cannot_be_read_is_told_and_never_guessed(school, text, capsys):
    (school.folder("ann") / "timestamp.txt").write_text(text)
    assert received(school) is None
    assert "ann: timestamp.txt says" in status(school, capsys)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_editors_write_marks_before_a_time(school, encoding, capsys):
    path = school.folder("ann") / "timestamp.txt"
    path.write_bytes("2026-12-02 23:00:00 EST\r\n".encode(encoding))
    assert received(school) == "2026-12-03T04:00:00+00:00"
    assert "timestamp" not in status(school, capsys)
    path.write_bytes(codecs.BOM_UTF16_LE + b"2")
    assert "ann: timestamp.txt is not a text" in status(school, capsys)


def test_a_students_own_time_never_counts_beside_the_collectors_list(school, capsys):
    school.hand_in("bob", filled())
    (school.folder("bob") / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC")
    receipts = school.course / "receipts.csv"
    receipts.write_text("student,assignment,received\nann,project2,2026-05-02\n")
    assert received(school, "bob") == "2020-01-01T00:00:00+00:00"
    receipts.write_text(receipts.read_text() + "ann,project3,2026-05-02\nbbo,project3,2026-05-02\n")
    assert received(school, "bob") is None
    said = status(school, capsys)
    assert "bob: no row in receipts.csv" in said
    assert "bbo: a row in receipts.csv, and no folder" in said
    assert "ann:" not in said


def test_receipts_may_be_separated_as_spreadsheets_do(school):
    path = school.course / "receipts.csv"
    path.write_text("student;assignment;received\n ann ;project3;2026-05-02 12:00:00 EST\n")
    assert received(school) == "2026-05-02T17:00:00+00:00"
