"""Marks on their way to other systems, and in words: nothing unknown is zero, nothing is lost."""

import contextlib
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
from autograder.gradebook.records import Given
from autograder.reports import export as exports
from autograder.reports import similarity
from autograder.reports.explain import explain as explain_row
from autograder.reports.export import Target, safe
from autograder.reports.marks import Marks, tabulate
from autograder.sandbox import doctor

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


def points_of(records: list[dict]) -> dict[tuple[str, str], float]:
    """What the release would say: the points of each cell that these records hold."""
    return {
        (r["notebook"], cell["grade_id"]): float(cell["max"])
        for r in sorted(records, key=lambda r: r["notebook"])
        for cell in r.get("verdict", {}).get("cells", [])
    }


NOTHING = Given()


def marks_of(records: list[dict], given: Given = NOTHING, **more) -> Marks:
    return tabulate(records, more.pop("released", points_of(records)), given, **more)


def export(kind: str, records: list[dict], by_hand: dict, *about, **target) -> list[str]:
    """Write marks with a roster, or without."""
    given = Given(by_hand, penalties=target.pop("penalties", {}))
    assignment, path, *roster = about
    return exports.export(kind, marks_of(records, given), assignment, path,
                          Target(*roster, **target))  # fmt: skip


def explain(student: str, records: list[dict], given: Given = NOTHING) -> str:
    marks = marks_of(records, given)
    return explain_row(next(r for r in marks.rows if r.student == student), marks.most)


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


def test_a_penalty_takes_no_more_than_the_points(records, tmp_path):
    by_hand = {("ada", "explain_ddim"): 3.5}
    marks = marks_of(records, Given(by_hand, penalties={"ada": 99.0}))
    ada = next(row for row in marks.rows if row.student == "ada")
    assert ada.total == 0
    export("gradescope", records, by_hand, "project3", tmp_path, penalties={"ada": 99.0})
    written = json.loads((tmp_path / "ada" / "results.json").read_text())
    assert written["score"] == 0


@pytest.mark.parametrize(("marked", "undecided"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_cell_is_undecided_while_most_of_its_answers_are_unmarked(marked, undecided):
    names = ["ann", "ben", "cat"]
    essays = [record(n, "03", verdict=verdict(by_a_person())) for n in names]
    blank = [record("dan", "03", verdict=verdict(by_a_person(0.0)))]
    by_hand = {(name, "explain_ddim"): 2.0 for name in names[:marked]}
    found = marks_of(essays + blank, Given(by_hand)).undecided
    assert found == ({("03", "explain_ddim")} if undecided else set())


def test_what_is_not_graded_cannot_be_explained(records, tmp_path, monkeypatch, capsys):
    (tmp_path / "course").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_current", lambda options: [])
    assert cli.main(["explain", "ada"]) == 2
    assert "nothing is graded yet" in capsys.readouterr().err
    monkeypatch.setattr(cli, "_marks", lambda options, current: marks_of(records))
    assert cli.main(["explain", "eve"]) == 2
    assert "eve: no graded notebook" in capsys.readouterr().err
    assert cli.main(["explain", "ada"]) == 0
    assert "the noise is not scaled" in capsys.readouterr().out
    one = marks_of([], released=points_of(records), students=["ada"])
    monkeypatch.setattr(cli, "_marks", lambda options, current: one)
    assert cli.main(["explain", "ada"]) == 2  # known, but without a record


@pytest.mark.parametrize("ok", [True, False])
def test_the_doctor_prints_what_it_found(ok, monkeypatch, capsys):
    found = [doctor.Finding("memory", "2 GB", "2 GB", ok, "")]
    monkeypatch.setattr(doctor, "diagnose", lambda fork_server: found)
    monkeypatch.setattr("autograder.sandbox.process.ForkServer", contextlib.nullcontext)
    assert cli.main(["doctor"]) == (0 if ok else 1)
    assert "memory" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5"])
def test_a_number_of_workers_is_whole_and_positive(text, capsys):
    with pytest.raises(SystemExit):
        cli.main(["grade", f"--workers={text}"])
    assert f"{text!r} is not a whole number >= 1" in capsys.readouterr().err


def test_a_table_waits_for_the_notebooks_without_a_record(records):
    by_name = {row.student: row for row in marks_of(records).rows}
    assert by_name["dan"].waiting == ("03",)
    assert by_name["ada"].waiting == ()


def test_where_nothing_can_be_written_is_told_in_words(records, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "_current", lambda options: [])
    monkeypatch.setattr(cli, "_marks", lambda options, current: marks_of(records))
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


RELEASE = {("01", "test_kl"): 10.0, ("02", "test_active_units"): 3.0, ("02", "explain_ddim"): 4.0}


def test_what_nobody_handed_in_is_zero_and_still_counts_in_the_maximum(tmp_path):
    """One student with one notebook: the other one is worth its points all the same."""
    one = [
        record("ada", "01", "missing", reason="it was not handed in"),
        record("ada", "02", verdict=verdict(judged("active_units", 3, 3), by_a_person(0.0))),
    ]
    marks = marks_of(one, released=RELEASE)
    assert (marks.rows[0].total, marks.rows[0].state) == (3.0, "missing")
    for kind in ("csv", "canvas", "moodle"):
        exports.export(kind, marks, "p", tmp_path / kind)
    (found,) = rows(tmp_path / "csv")
    assert (found["total"], found["max"], found["test_kl"]) == ("3", "17", "0")
    assert rows(tmp_path / "canvas")[1]["p"] == "3"
    (found,) = rows(tmp_path / "moodle")
    assert (found["Grade"], found["Maximum grade"]) == ("3", "17")
    assert "ada: 3 of 17 points; 01 is missing" in found["Feedback comments"]


def test_a_student_whose_work_is_not_graded_yet_has_a_row_and_no_zero(tmp_path):
    ada = record("ada", "02", verdict=verdict(judged("active_units", 3, 3)))
    (tmp_path / "r.csv").write_text("Student,Login\nAda,ada\nBob,bob\n")
    marks = marks_of([ada], students=["ada", "bob"])
    exports.export("canvas", marks, "p", tmp_path / "c.csv", Target(tmp_path / "r.csv"))
    assert [row["Student"] for row in rows(tmp_path / "c.csv")[1:]] == ["Ada"]
    exports.export("csv", marks, "p", tmp_path / "m.csv")
    assert [row["state"] for row in rows(tmp_path / "m.csv")] == ["graded", "waiting"]


def test_a_mark_by_hand_of_another_text_is_no_mark(records, tmp_path):
    given = Given(by_hand={("ada", "explain_ddim"): None, ("ada", "test_ddim_step"): None})
    export("csv", records, given.by_hand, "p", tmp_path / "m.csv")
    ada = rows(tmp_path / "m.csv")[1]
    assert (ada["total"], ada["state"], ada["test_ddim_step"]) == ("", "by hand", "")
    assert "explain_ddim: a person decides" in ada["reasons"]
    text = explain("ada", records, given)
    assert "ada: 3 of 3 points, 12 more to be marked by a person" in text
    assert "ddim_step: - of 8\n    a person must look at it again" in text


def test_extra_credit_counts_as_in_nbgrader(records, tmp_path):
    given = Given({("ada", "explain_ddim"): 4.0}, bonus={("ada", "test_ddim_step"): 1.5})
    exports.export("csv", marks_of(records, given), "p", tmp_path / "m.csv")
    ada = rows(tmp_path / "m.csv")[1]
    assert (ada["total"], ada["test_ddim_step"]) == ("14", "7")


FORGED = "\n+ the last step (8)\n  ddim_step: 8 of 8\r\u2028TOTAL 100 of 100\x85more\x0bmore"


def forged() -> list[dict]:
    hint = f"`ddim_step` raised Exception in line 2: {FORGED}"
    ended = judged("add_noise", 4, 0) | {"state": "ended", "checks": [], "lines": [hint]}
    notes = ({"kind": "accident", "text": hint},)
    return [
        record("ada", "03", verdict=verdict(judged("ddim_step", 8, 0, hint), ended, notes=notes)),
        record("ada", "04", "rejected", reason=f"the work may be in {FORGED}"),
    ]


def test_a_students_text_forges_no_line(tmp_path):
    """Every line that looks like a result is one: in a terminal, a mail, Moodle, Gradescope."""
    texts = [explain("ada", forged())]
    export("moodle", forged(), {}, "p", tmp_path / "m.csv")
    texts += [row["Feedback comments"] for row in rows(tmp_path / "m.csv")]
    honest = [record("ada", "04", verdict=verdict(judged("kl", 2, 2))), forged()[0]]
    export("gradescope", honest, {}, "p", tmp_path)
    result = json.loads((tmp_path / "ada" / "results.json").read_text())
    texts += [result["output"], *(test["output"] for test in result["tests"])]
    lines = [line for text in texts for line in text.splitlines()]
    assert any("the last step (8)" in line for line in lines), "it is shown, but not as a line"
    starts = re.compile(r" {0,5}(\+ the last step|TOTAL|more|ddim_step: 8 of 8)")
    assert not list(filter(starts.match, lines))
    export("csv", forged(), {}, "p", tmp_path / "m.csv")
    assert len((tmp_path / "m.csv").read_text().splitlines()) == 2


def test_a_hint_in_the_notebook_is_one_line():
    from autograder import report
    from autograder.checks.base import Verdict

    failed = Verdict("the last step", 8.0, False, f"it raised Exception: {FORGED}", 0.0)
    (line,) = report("ddim_step", [failed])
    assert line.splitlines() == [line]


ROSTER = "Student;Login;Grade\nAda;ada;\nJosé;bob;\nCleo;cleo;\n"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_roster_is_read_and_written_as_the_other_system_writes_it(tmp_path, separator, encoding):
    two = [
        record(s, "03", verdict=verdict(judged("ddim_step", 8, 5, "use √abar")))
        for s in ("ada", "bob")
    ]
    roster, path = tmp_path / "r.csv", tmp_path / "m.csv"
    roster.write_bytes(ROSTER.replace(";", separator).encode(encoding))
    export("moodle", two, {}, "p", path, roster)
    data = path.read_bytes()
    assert data.startswith(roster.read_bytes()[:4])
    found = list(csv.DictReader(io.StringIO(data.decode(encoding)), delimiter=separator))
    assert [(r["Student"], r["Grade"]) for r in found] == [
        ("Ada", "5"),
        ("José", "5"),
        ("Cleo", "0"),
    ]
    assert ("use √abar" in found[0]["Feedback comments"]) is (encoding != "cp1252")


@pytest.mark.parametrize("first", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "sep=;;\n", "sep=;\r"])
def test_the_separator_that_a_roster_names_for_excel_is_used(tmp_path, first):
    two = [record(s, "03", verdict=verdict(judged("ddim_step", 8, 5))) for s in ("ada", "bob")]
    roster, path = tmp_path / "r.csv", tmp_path / "m.csv"
    roster.write_text(first + ROSTER.replace("Student", "Name, Vorname, Titel"))
    export("moodle", two, {}, "p", path, roster)
    found = list(csv.DictReader(io.StringIO(path.read_text()), delimiter=";"))
    assert [row["Grade"] for row in found] == ["5", "5", "0"]


def test_a_roster_with_two_columns_of_one_name_is_refused_with_that_name(records, tmp_path):
    roster = tmp_path / "r.csv"
    roster.write_text("Login,Grade, Grade\nada,1,2\n")
    with pytest.raises(AutograderError, match="two columns are named Grade: rename one"):
        export("moodle", records, {}, "p", tmp_path / "m.csv", roster)
    assert not (tmp_path / "m.csv").exists()


def test_any_column_may_be_chosen_by_its_name(tmp_path):
    text = "Vorname,ID-Nummer,Ort\nAda,7,ada\nBob,8,bob\n"
    two = [record(s, "03", verdict=verdict(judged("ddim_step", 8, 8))) for s in ("7", "8")]
    roster = tmp_path / "r.csv"
    roster.write_text(text)
    for name in ("ID-Nummer", " id-nummer"):
        said = export("moodle", two, {}, "p", tmp_path / "m.csv", roster, column=name)
        assert "2 found in the roster by column ID-Nummer" in said
    with pytest.raises(AutograderError, match="separated by ',', are Vorname, ID-Nummer, Ort"):
        export("moodle", two, {}, "p", tmp_path / "m.csv", roster)


def test_the_column_for_marks_is_found_or_chosen_and_a_new_one_is_told(tmp_path):
    one = [record("ada", "03", verdict=verdict(judged("ddim_step", 8, 8)))]
    roster, path = tmp_path / "r.csv", tmp_path / "c.csv"
    for head, into, column, new in (
        ("Project3 (123)", None, "Project3 (123)", False),
        ("Project 3 (9)", None, "project3", True),
        ("Project 3 (9)", "Project 3", "Project 3 (9)", False),
        ("project3 (1),project3", None, "project3", False),
    ):
        roster.write_text(f"Student,SIS Login ID,{head}\nAda,ada,,\n")
        said = export("canvas", one, {}, "project3", path, roster, into=into)
        assert rows(path)[1][column] == "8"
        assert any("it was added" in line for line in said) is new
    roster.write_text("Student,SIS Login ID,project3 (1),Project3 (2)\nAda,ada,,\n")
    with pytest.raises(AutograderError, match="--into"):
        export("canvas", one, {}, "project3", path, roster)
    roster.write_text("ID,Anmeldename,Bewertung,Feedback als Kommentar\n1,ada,,\n")
    about = {"column": "Anmeldename", "into": "Bewertung"}
    export("moodle", one, {}, "project3", path, roster, **about)
    (row,) = rows(path)
    assert (row["Bewertung"], "8 of 8" in row["Feedback als Kommentar"]) == ("8", True)


def test_whoever_handed_in_nothing_gets_zero_unless_a_mark_is_there(tmp_path):
    text = (
        "Student,ID,SIS Login ID,p (4)\n    Points Possible,,,8\nAda,1,ada,\nBob,2,bob,\n"
        "Cy,3,cy,EX\nNo Login,4,,\n"
    )
    one = [record("ada", "03", verdict=verdict(judged("ddim_step", 8, 8)))]
    roster, path = tmp_path / "r.csv", tmp_path / "c.csv"
    roster.write_text(text)
    said = export("canvas", one, {}, "p", path, roster)
    assert {r["Student"]: r["p (4)"] for r in rows(path)[1:]} == {"Ada": "8", "Bob": "0"}
    assert "2 in the roster handed in nothing: bob, cy" in said
    export("csv", one, {}, "p", path, roster)
    assert [(r["student"], r["total"], r["state"]) for r in rows(path)] == [
        ("ada", "8", "graded"), ("bob", "0", "missing"), ("cy", "0", "missing")]  # fmt: skip


def test_nobody_gets_zero_while_a_student_may_be_under_another_name(tmp_path):
    two = [record(s, "03", verdict=verdict(judged("ddim_step", 8, 8))) for s in ("ada", "robert")]
    roster, path = tmp_path / "r.csv", tmp_path / "c.csv"
    roster.write_text("Student,ID,SIS Login ID,p\nAda,1,ada,\nBob,2,bob,\n")
    said = export("canvas", two, {}, "p", path, roster)
    assert [r["Student"] for r in rows(path)[1:]] == ["Ada"]
    assert any("get no zero" in line for line in said)


def test_a_group_has_one_submission_and_each_member_its_mark(tmp_path):
    two = [
        record(g, "03", verdict=verdict(judged("ddim_step", 8, p)))
        for g, p in (("g1", 8), ("g2", 5))
    ]
    roster, path = tmp_path / "r.csv", tmp_path / "c.csv"
    roster.write_text("Student,ID,Team\nAda,1,G1\nBob,2,G1\nCy,3,G2\nDan,4,G3\nEve,5,\n")
    export("canvas", two, {}, "p", path, roster, column="Team")
    found = {r["Student"]: r["p"] for r in rows(path)[1:]}
    assert found == {"Ada": "8", "Bob": "8", "Cy": "5", "Dan": "0"}


ODD = """def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    ratio = [abar_t / abar_prev, (1 - abar_prev) / (1 - abar_t)]
    sig = eta
    for r in range(2):
        sig = sig * (ratio[1] if r else 1 - ratio[0]) ** 0.5
    parts = {"a": abar_prev ** 0.5, "b": (1 - abar_t) ** 0.5, "c": abar_t ** 0.5}
    guess = (x_t - parts["b"] * eps) / parts["c"]
    rest = max(0.0, float(1 - abar_prev - sig * sig)) ** 0.5
    total = sum([parts["a"] * guess, rest * eps, sig * noise])
    return total
"""


@pytest.mark.parametrize("students", [14, 30, 60, 200])
def test_one_long_odd_answer_that_two_share_is_listed(students):
    found = a_class(students, 0, 1)
    others = {(p.first, p.second) for p in similarity.pairs(found)}
    found["000"]["ddim_step"] = ODD
    found["001"]["ddim_step"] = re.sub("ratio|sig|parts|guess|total", lambda m: m[0][0] * 2, ODD)
    listed = {(p.first, p.second) for p in similarity.pairs(found)}
    assert ("000", "001") in listed
    assert len(listed - others) <= 2
    assert len(others) <= 3
