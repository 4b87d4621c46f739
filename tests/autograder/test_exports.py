"""Marks on their way to other systems, and in words: nothing unknown is zero, nothing is lost."""

import csv
import io
import json
import random
import re
import time
import unicodedata
from pathlib import Path

import pytest

from autograder import cli
from autograder.errors import AutograderError
from autograder.reports import similarity
from autograder.reports.explain import explain
from autograder.reports.export import export, safe
from autograder.reports.marks import tabulate

ANSWERS = Path(__file__).parents[1] / "answers"


def record(student: str, notebook: str, state: str = "graded", **more) -> dict:
    base = {"key": f"{student}/{notebook}", "student": student, "assignment": "project3",
            "notebook": notebook, "submission": "", "received": None, "time": 1.0,
            "state": state}  # fmt: skip
    return base | more


def judged(name: str, most: float, passed: float, hint: str = "the noise is not scaled") -> dict:
    checks = [
        {"property": "given numbers", "points": passed, "passed": True, "hint": "", "seconds": 0.1},
        {"property": "the last step", "points": most - passed, "passed": False, "hint": hint,
         "seconds": 0.2},
    ][: 1 if passed == most else 2]  # fmt: skip
    return {"grade_id": f"test_{name}", "max": most, "points": passed, "state": "judged",
            "lines": [], "checks": checks}  # fmt: skip


def verdict(*cells: dict, notes: tuple = ()) -> dict:
    seconds = {"cells": 0.3, "checks": 0.3, "sandbox": 0.02, "total": 0.7}
    return {"cells": list(cells), "blank": [], "notes": list(notes), "seconds": seconds,
            "restarts": 0}  # fmt: skip


def by_a_person(points: float | None = None) -> dict:
    state = "by hand" if points is None else "blank"
    return {"grade_id": "explain_ddim", "max": 4.0, "points": points, "state": state,
            "lines": [], "checks": []}  # fmt: skip


NOTE = {"kind": "accident", "text": "the locked cell `visible_x` was deleted; restored"}


@pytest.fixture
def records() -> list[dict]:
    """ada: all known but the essay; bob: rejected; =cmd: missing one; dan: one not graded yet."""
    two = verdict(judged("active_units", 3, 3))
    ada = verdict(judged("ddim_step", 8, 5.5), by_a_person(), notes=(NOTE,))
    cmd = verdict(judged("ddim_step", 8, 8), by_a_person(0.0))
    return [
        record("ada", "02", verdict=two),
        record("ada", "03", verdict=ada),
        record("bob", "02", verdict=two),
        record("bob", "03", "rejected", reason="it is no notebook"),
        record("=cmd|' calc'!A0", "02", "missing", reason="it was not handed in"),
        record("=cmd|' calc'!A0", "03", verdict=cmd),
        record("dan", "02", verdict=two),
    ]


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_csv_has_everything_and_no_zero_for_the_unknown(records, tmp_path):
    assert export("csv", records, {}, "project3", tmp_path / "m.csv") == []
    found = {row["student"]: row for row in rows(tmp_path / "m.csv")}
    ada, bob, cmd, dan = (found[n] for n in ("ada", "bob", "'=cmd|' calc'!A0", "dan"))
    assert (ada["test_ddim_step"], ada["explain_ddim"], ada["total"]) == ("5.5", "", "")
    assert (ada["state"], ada["max"], ada["02"], ada["03"]) == ("by hand", "15", "3", "")
    assert (bob["state"], bob["total"], bob["test_ddim_step"]) == ("rejected", "", "")
    assert "it is no notebook" in bob["reasons"]
    assert (cmd["state"], cmd["total"], cmd["test_active_units"]) == ("missing", "8", "0")
    assert (dan["state"], dan["total"], dan["reasons"]) == ("waiting", "", "03: not graded yet")


def test_marks_by_a_person_count_and_stand_before_the_programs(records, tmp_path):
    by_hand = {("ada", "explain_ddim"): 3.5, ("ada", "test_ddim_step"): 8.0}
    export("csv", records, by_hand, "project3", tmp_path / "m.csv", penalties={"ada": 1.0})
    ada = rows(tmp_path / "m.csv")[1]
    assert (ada["student"], ada["total"], ada["state"]) == ("ada", "13.5", "graded")


def test_a_later_record_wins(records):
    again = record("bob", "03", time=2.0, verdict=verdict(judged("ddim_step", 8, 8), by_a_person()))
    assert tabulate([again, *records]).rows[2].points["03", "test_ddim_step"] == 8.0


def test_where_nothing_can_be_written_is_told_in_words(records, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "_records", lambda options: records)
    monkeypatch.setattr(cli, "_gradebook", lambda options: ({}, {}))
    (tmp_path / "file").write_text("")
    for kind in ("csv", "canvas", "moodle", "gradescope"):
        line = ["export", kind, "--course", str(tmp_path), "-o", str(tmp_path / "file" / "x")]
        assert cli.main(line) == 2
        assert "cannot be written" in capsys.readouterr().err


def test_a_number_too_long_to_be_written_out_is_compared():
    assert "Constant" not in similarity.tokens(f"x = 0x{'f' * 9000}")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@x", "\t=1", " =1", "\r\n@x", "＝1"])
def test_no_field_is_a_formula(text):
    assert safe(text).startswith("'")


def test_numbers_and_dashes_stay_what_they_are():
    assert [safe(x) for x in (-1.5, 2.0, 1 / 3, None, "-", 0.0)] == ["-1.5", "2", "0.33", "", "-",
                                                                      "0"]  # fmt: skip


def test_canvas_without_a_roster_finds_people_by_login(records, tmp_path):
    said = export("canvas", records, {("ada", "explain_ddim"): 4}, "project3", tmp_path / "c.csv")
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[0] == "Student,ID,SIS User ID,SIS Login ID,Section,project3"
    assert lines[1] == "    Points Possible,,,,,15"
    assert lines[2] == "'=cmd|' calc'!A0,,,'=cmd|' calc'!A0,,8"
    assert lines[3] == "ada,,,ada,,12.5"
    assert len(lines) == 4  # an empty cell would delete the mark that Canvas has
    assert said == ["2 left out because their total is not known yet: bob, dan"]


def test_canvas_with_its_own_export_keeps_ids_and_the_assignments_column(records, tmp_path):
    roster = tmp_path / "gradebook.csv"
    roster.write_text(
        "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,project3 (4711),Final Score\n"
        "    Points Possible,,,,,15.00,(read only)\n"
        '"Lovelace, Ada",101,S1,ada@uni.example,ML,,80\n'
        '"Other, One",102,S2,other,ML,3,80\n'
    )
    path = tmp_path / "c.csv"
    said = export("canvas", records, {("ada", "explain_ddim"): 4}, "project3", path, roster)
    lines = path.read_text().splitlines()
    assert lines[0].endswith("Section,project3 (4711)")
    assert lines[2:] == ['"Lovelace, Ada",101,S1,ada@uni.example,ML,12.5']
    assert "not in the roster: =cmd" in said[1]


def test_ones_number_may_be_anothers_login(tmp_path):
    three = [record(s, "03", verdict=verdict(judged("ddim_step", 8, p)))
             for s, p in (("101", 8), ("102", 5), ("103", 3))]  # fmt: skip
    roster = tmp_path / "gradebook.csv"
    roster.write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section,project3 (4)\n"
        "Ada,102,S1,101,ML,\nBob,103,S2,102,ML,\nCy,104,S3,103,ML,\n"
    )
    export("canvas", three, {}, "project3", tmp_path / "c.csv", roster)
    named = {row["Student"]: row["project3 (4)"] for row in rows(tmp_path / "c.csv")[1:]}
    assert named == {"Ada": "8", "Bob": "5", "Cy": "3"}


def test_a_roster_that_names_nobody_is_refused(records, tmp_path):
    roster = tmp_path / "r.csv"
    roster.write_text("Group,Mark\na,1\n")
    with pytest.raises(AutograderError, match="no column that names people"):
        export("canvas", records, {}, "project3", tmp_path / "c.csv", roster)


def test_moodle_fills_its_own_worksheet(records, tmp_path):
    roster = tmp_path / "worksheet.csv"
    head = "Identifier,Full name,Email address,Status,Grade,Maximum grade,Last modified (grade),"
    roster.write_text(
        f"{head}Feedback comments\n"
        'Participant 7,Ada L,ada@uni.example,Submitted,,15.00,"Monday, 1 June 2026, 1:00 PM",\n'
        "Participant 8,Bob,bob@uni.example,Submitted,,15.00,-,\n"
    )
    path = tmp_path / "m.csv"
    said = export("moodle", records, {("ada", "explain_ddim"): 4}, "project3", path, roster)
    ada, bob = rows(path)
    assert (ada["Identifier"], ada["Grade"]) == ("Participant 7", "12.5")
    assert ada["Last modified (grade)"] == "Monday, 1 June 2026, 1:00 PM"
    assert "the noise is not scaled" in ada["Feedback comments"]
    assert bob["Grade"] == ""
    assert "dan" in said[0]


def test_moodle_feedback_is_escaped(tmp_path):
    hint = "<img src=x onerror=alert(1)>"
    one = record("7", "03", verdict=verdict(judged("ddim_step", 8, 5, hint)))
    said = export("moodle", [one], {}, "project3", tmp_path / "m.csv")
    (row,) = rows(tmp_path / "m.csv")
    assert row["Identifier"] == "Participant 7"
    assert row["Last modified (grade)"] == "-"  # without this column, Moodle takes no worksheet
    assert "&lt;img" in row["Feedback comments"]
    assert "<img" not in row["Feedback comments"]
    assert "--roster" in said[0]


def test_a_roster_that_names_someone_twice_is_refused(records, tmp_path):
    roster = tmp_path / "r.csv"
    roster.write_text("Student,ID\nada,1\nAda,2\n")
    with pytest.raises(AutograderError, match="more than one row for ada"):
        export("canvas", records, {("ada", "explain_ddim"): 4}, "p", tmp_path / "c.csv", roster)
    assert not (tmp_path / "c.csv").exists()


def test_gradescope_has_a_results_file_for_whoever_is_graded(records, tmp_path):
    said = export("gradescope", records, {}, "project3", tmp_path)
    assert said == ["2 left out because they are not graded: bob, dan"]
    assert not (tmp_path / "bob").exists()
    result = json.loads((tmp_path / "ada" / "results.json").read_text())
    assert result["score"] == 8.5
    assert sum(test["score"] for test in result["tests"]) == 8.5
    names = [test["name"] for test in result["tests"]]
    assert names == ["02: active_units", "03: ddim_step"]  # the essay is marked there
    step = result["tests"][1]
    assert (step["score"], step["max_score"], step["status"]) == (5.5, 8.0, "failed")
    assert step["execution_time"] == pytest.approx(0.3)
    assert "the noise is not scaled" in step["output"]
    assert "leaderboard" not in result


def test_an_unknown_kind_is_a_sentence(records, tmp_path):
    with pytest.raises(AutograderError, match="must be one of csv, canvas"):
        export("excel", records, {}, "project3", tmp_path / "x")


def test_explain_tells_a_student_everything_in_plain_text(records):
    text = explain("ada", records)
    for words in (
        "ada: 8.5 of 11 points, 4 more to be marked by a person",
        "ddim_step: 5.5 of 8",
        "+ given numbers (5.5)",
        "- the last step (0 of 2.5): the noise is not scaled",
        "explain_ddim: - of 4",
        "! accident: the locked cell `visible_x` was deleted; restored",
        "took 0.70 s",
    ):
        assert words in text, words
    assert max(map(len, text.splitlines())) <= 100


def test_explain_never_sends_commands_to_a_terminal():
    bad = verdict(judged("ddim_step", 8, 5, "\x1b]0;owned\x07\x9b2J\u202e"))
    text = explain("ada", [record("ada", "03", verdict=bad)])
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_explain_says_why_there_is_no_mark(records):
    assert "03: rejected: it is no notebook" in explain("bob", records)


def a_class(students: int, copies: int, seed: int) -> dict[str, dict[str, str]]:
    """Students who each take someone's right or wrong answers; the first `copies` pairs copy."""
    files = {
        d.name: [p.read_text() for p in sorted(d.glob("*.py"))] for d in sorted(ANSWERS.iterdir())
    }
    rng = random.Random(seed)
    found = {f"{i:03d}": {n: rng.choice(t) for n, t in files.items() if t} for i in range(students)}
    for pair in range(copies):
        source = found[f"{2 * pair:03d}"]
        renamed = {
            n: re.sub(r"(?<![.\w])(sigma|std|kl)\b", r"my_\1", text) for n, text in source.items()
        }
        found[f"{2 * pair + 1:03d}"] = {n: f"# mine\n{text}" for n, text in renamed.items()}
    return found


def test_copied_pairs_stand_out_and_hardly_any_others():
    """Nine copies in three classes; one whose answers are all common cannot be told from chance."""
    copied, hits, others = {("000", "001"), ("002", "003"), ("004", "005")}, 0, 0
    for seed in range(3):
        started = time.perf_counter()
        found = [(pair.first, pair.second) for pair in similarity.pairs(a_class(200, 3, seed))]
        assert time.perf_counter() - started < 4.0
        number = len(copied & set(found))
        assert set(found[:number]) <= copied, "the copies come first"
        hits, others = hits + number, others + len(found) - number
    assert hits >= 8
    assert others <= 3  # chance makes about one such pair in a class


def test_right_answers_to_a_short_formula_say_nothing():
    text = "def f(mu, logvar, noise):\n    return mu + torch.exp(logvar / 2) * noise\n"
    assert similarity.pairs({str(i): {"reparameterize": text} for i in range(30)}) == []


def test_names_comments_and_layout_change_no_fingerprint():
    one = 'def f(a: int):\n    """Doc."""\n    b = [a ** 2 for _ in range(3)]\n    return b\n'
    two = "def f(x):\n  # other\n  total=[x**2\n    for i in range(3)]\n  return total"
    assert similarity.fingerprints(one) == similarity.fingerprints(two) != frozenset()


def test_code_that_does_not_parse_has_fingerprints_too():
    assert similarity.fingerprints("def f(a:\n    return a + a * a - 3 / a")
    assert similarity.fingerprints("(" * 100_000) is not None


def exported(tmp_path: Path, text: str, students: dict[str, int], **more) -> dict[str, str]:
    """What each row of a Canvas roster gets, by its first column."""
    handed = [
        record(name, "03", verdict=verdict(judged("ddim_step", 8, points)))
        for name, points in students.items()
    ]
    roster, path = tmp_path / "r.csv", tmp_path / "c.csv"
    roster.write_text(text, encoding="utf-8")
    export("canvas", handed, {}, "p", path, roster, **more)
    return {row["Student"]: row["p"] for row in rows(path)[1:]}


def test_two_columns_that_name_people_differently_are_for_a_person(tmp_path):
    text = "Student,ID,SIS Login ID\nAda,2,1\nBob,1,2\n"
    with pytest.raises(AutograderError, match="--column"):
        exported(tmp_path, text, {"1": 8, "2": 5})
    assert exported(tmp_path, text, {"1": 8, "2": 5}, column="ID") == {"Ada": "5", "Bob": "8"}


def test_a_column_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(AutograderError, match="such as 'Login'"):
        exported(tmp_path, "Student,ID\nada,1\n", {"ada": 8}, column="Login")


def test_names_that_differ_in_case_only_are_two(tmp_path):
    text = "Student,SIS Login ID\nOne,Ann\nTwo,ann\nThree,ANN\n"
    assert exported(tmp_path, text, {"Ann": 8, "ann": 5}) == {"One": "8", "Two": "5"}


def test_an_address_of_two_people_names_nobody(tmp_path):
    text = "Student,Email\nOne,ann@uni.example\nTwo,ann@other.example\nThree,bob@uni.example\n"
    assert exported(tmp_path, text, {"ann": 8, "bob": 5}) == {"Three": "5"}


def test_names_are_found_in_either_spelling_of_unicode(tmp_path):
    text = f"Student,Login\nOne,{unicodedata.normalize('NFD', 'né')}\n"
    assert exported(tmp_path, text, {"né": 8}) == {"One": "8"}


def test_long_fields_of_a_roster_are_read(tmp_path):
    text = f"Student,Login,Notes\nOne,ada,{'x' * 200_000}\n"
    assert exported(tmp_path, text, {"ada": 8}) == {"One": "8"}
