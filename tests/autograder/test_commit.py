"""Do the ledger's marks, and people's, stand in nbgrader's gradebook as they should?"""

import base64
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import small_course
from bs4 import BeautifulSoup
from small_course import ASSIGNMENT, copies, environment, gradebook, marks, query

from autograder import cli
from autograder.errors import AutograderError
from autograder.gradebook import commit
from autograder.submissions import release
from autograder.submissions.job import Job

NOTEBOOK = "03_ddpm_ddim"
WRITTEN = "explain_ddim"
TESTED = "test_ddim_step"
LATE = """
from nbgrader.plugins import BasePlugin

class Tenth(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return 0.1 * score

c = get_config()
c.AssignLatePenalties.plugin_class = Tenth
"""
Course = Path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Course:
    """A course of one notebook, known to nbgrader."""
    course = small_course.make(tmp_path_factory.mktemp("course") / "c", (NOTEBOOK,))
    (course / "nbgrader_local.py").write_text(LATE)
    commit.Gradebook(course, ASSIGNMENT).close()
    return course


@pytest.fixture
def course(prepared, tmp_path) -> Course:
    return Path(shutil.copytree(prepared, tmp_path / "course"))


def released(course: Course) -> nbformat.NotebookNode:
    return nbformat.read(course / "release" / ASSIGNMENT / f"{NOTEBOOK}.ipynb", as_version=4)


def graded(course: Course, key: str = "k1", text: str = "It is so.", **more: Any) -> commit.Records:
    """A submission with full marks, its executed notebook in the store; `more` changes points."""
    executed, cells = released(course), []
    points = more.pop("points", {})
    for cell in executed.cells:
        role = cell.metadata.get("nbgrader", {})
        if role.get("grade"):
            name, most = role["grade_id"], float(role["points"])
            decided = points.get(name, None if role["solution"] else most)
            cells.append({"grade_id": name, "max": most, "points": decided})
        if cell.id == WRITTEN:
            cell.source = text
    edit: Callable[[nbformat.NotebookNode], None] = more.pop("edit", lambda notebook: None)
    edit(executed)
    store = course / ".autograder" / "notebooks"
    store.mkdir(parents=True, exist_ok=True)
    nbformat.write(executed, store / f"{key}.ipynb")
    return {NOTEBOOK: record(key, "graded", verdict={"cells": cells, "blank": []}, **more)}


def record(key: str, state: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "state": state, "time": 1.0, "received": None} | more


def enter(course: Course, **ready: commit.Records) -> list[str]:
    return commit.enter(course, ASSIGNMENT, ready)


def row(course: Course, cell: str, student: str = "ada") -> tuple:
    """Automatic score, a person's, and whether a person must look."""
    return next(r[3:6] for r in gradebook(course) if (r[0], r[2]) == (student, cell))


def by_hand(course: Course, cell: str, mark: float) -> None:
    """What formgrader does when somebody types a mark."""
    query(
        course,
        "UPDATE grade SET manual_score = ?, needs_manual_grade = 0 WHERE cell_id IN "
        "(SELECT id FROM base_cell WHERE name = ?)",
        *(mark, cell),
    )


def test_what_a_person_must_look_at(course):
    rejected = {NOTEBOOK: record("k2", "rejected", reason="it is no notebook")}
    missing = {NOTEBOOK: record("k3", "missing", reason="it was not handed in")}
    assert enter(course, ada=graded(course), bob=rejected, cy=missing) == ["ada", "bob", "cy"]
    assert row(course, WRITTEN) == (None, None, 1)
    assert row(course, TESTED) == (8.0, None, 0)
    assert row(course, TESTED, "bob") == row(course, WRITTEN, "bob") == (None, None, 1)
    assert row(course, TESTED, "cy") == row(course, WRITTEN, "cy") == (0.0, None, 0)
    undecided = graded(course, "k4", points={TESTED: None})
    assert enter(course, ada=undecided) == ["ada"]
    assert row(course, TESTED) == (None, None, 1)


def test_a_mark_by_hand_and_a_comment_survive_everything(course):
    enter(course, ada=graded(course))
    by_hand(course, WRITTEN, 3.5)
    query(course, "UPDATE comment SET manual_comment = 'Well said.'")
    query(course, "UPDATE grade SET extra_credit = 1.0")
    for again in (graded(course), graded(course, time=2.0), graded(course, "k2", time=3.0)):
        enter(course, ada=again)
        assert row(course, WRITTEN) == (None, 3.5, 0)
    assert set(query(course, "SELECT manual_comment FROM comment")) == {("Well said.",)}
    assert set(query(course, "SELECT extra_credit FROM grade")) == {(1.0,)}


def test_a_mark_by_hand_is_looked_at_again_where_the_text_is_another(course):
    enter(course, ada=graded(course))
    by_hand(course, WRITTEN, 3.5)
    enter(course, ada=graded(course, "k2", text="It is otherwise."))
    assert row(course, WRITTEN) == (None, 3.5, 1)
    enter(course, ada=graded(course, "k2", text="It is otherwise.", time=2.0))
    assert row(course, WRITTEN) == (None, 3.5, 1), "nobody has looked yet"
    by_hand(course, WRITTEN, 2.0)
    enter(course, ada=graded(course, "k2", text="It is otherwise.", time=3.0))
    assert row(course, WRITTEN) == (None, 2.0, 0)


def test_a_mark_by_hand_is_looked_at_again_where_the_check_says_something_else(course):
    enter(course, ada=graded(course, points={TESTED: 0.0}))
    by_hand(course, TESTED, 4.0)
    enter(course, ada=graded(course, time=2.0))
    assert row(course, TESTED) == (8.0, 4.0, 1)


def test_a_new_submission_replaces_the_old_one(course):
    enter(course, ada=graded(course))
    before = copies(course)
    assert enter(course, ada=graded(course, "k2", text="Other.", points={TESTED: 0.0})) == ["ada"]
    assert row(course, TESTED) == (0.0, None, 0)
    assert copies(course) != before
    enter(course, ada={NOTEBOOK: record("k3", "rejected", reason="broken")})
    assert {r[3] for r in gradebook(course)} == {None}
    assert copies(course) == {}, "no copy of what does not count any more"


def test_the_text_alone_is_new(course):
    enter(course, ada=graded(course))
    assert enter(course, ada=graded(course, "k2", text="Other.")) == ["ada"]
    assert "Other." in str(copies(course))


def test_an_executed_notebook_that_is_not_there(course):
    records = graded(course)
    enter(course, ada=records)
    shutil.rmtree(course / ".autograder" / "notebooks")
    by_hand(course, WRITTEN, 1.0)
    assert enter(course, ada=records) == ["ada"]
    assert copies(course), "it is the right one"
    enter(course, ada={NOTEBOOK: records[NOTEBOOK] | {"key": "k2"}})
    assert copies(course) == {}, "it was of another submission"


def test_damaged_notebooks_stop_no_one_and_are_not_shown(course):
    first = {name: graded(course, name) for name in ("ada", "bob")}
    enter(course, **first)
    by_hand(course, WRITTEN, 3.5)
    before, shown = copies(course), course / "autograded" / "ada" / ASSIGNMENT
    (shown / f"{NOTEBOOK}.ipynb").write_text('{"cells": [')
    again = {name: {NOTEBOOK: r[NOTEBOOK] | {"time": 2.0}} for name, r in first.items()}
    assert enter(course, **again) == ["ada", "bob"]
    assert row(course, WRITTEN) == (None, 3.5, 0)
    assert copies(course) == before
    (course / ".autograder" / "notebooks" / "ada.ipynb").write_bytes(b"")
    again = {name: {NOTEBOOK: r[NOTEBOOK] | {"time": 3.0}} for name, r in first.items()}
    assert enter(course, **again) == ["ada", "bob"]
    assert copies(course) == before


@pytest.mark.parametrize("damaged", [True, False])
def test_a_mark_by_hand_is_looked_at_again_where_its_text_cannot_be_read(course, damaged):
    enter(course, ada=graded(course))
    by_hand(course, WRITTEN, 3.5)
    shown = course / "autograded" / "ada" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
    shown.write_bytes(b"") if damaged else shown.unlink()
    enter(course, ada=graded(course, "k2", text="It is otherwise."))
    assert row(course, WRITTEN) == (None, 3.5, 1)


def late(course: Course, records: commit.Records, received: str | None) -> None:
    enter(course, ada={name: r | {"received": received} for name, r in records.items()})


def penalty(course: Course) -> float | None:
    return gradebook(course)[0][6]


def test_lateness_costs_what_the_plugin_says(course):
    records = graded(course)
    enter(course, ada=records)
    total = sum(r[3] or 0.0 for r in gradebook(course))
    query(course, "UPDATE assignment SET duedate = '2026-05-01 12:00:00.000000'")
    late(course, records, "2026-05-01T12:00:01+00:00")
    assert penalty(course) == pytest.approx(0.1 * total)
    late(course, records, "2026-05-01T13:59:59+02:00")
    assert penalty(course) is None
    late(course, records, "2026-05-02T12:00:00+00:00")
    by_hand(course, WRITTEN, 4.0)
    late(course, records, "2026-05-02T12:00:00+00:00")
    assert penalty(course) == pytest.approx(0.1 * (total + 4.0))
    late(course, records, None)  # the wrong receipt was taken out
    assert penalty(course) is None
    assert not list(course.glob("autograded/ada/*/timestamp.txt"))
    query(course, "UPDATE assignment SET duedate = '2026-05-03 12:00:00.000000'")
    late(course, records, "2026-05-02T12:00:00+00:00")
    assert penalty(course) is None


def test_other_settings_mean_another_penalty(course):
    query(course, "UPDATE assignment SET duedate = '2026-05-01 12:00:00.000000'")
    late(course, graded(course), "2026-05-01T12:00:01+00:00")
    assert penalty(course) > 0
    (course / "nbgrader_local.py").write_text(LATE.replace("0.1", "0.0"))
    late(course, graded(course), "2026-05-01T12:00:01+00:00")
    assert penalty(course) == 0


def test_nothing_is_done_where_nothing_is_new(course):
    (course / "nbgrader_local.py").unlink()  # it imports nbgrader
    records = graded(course)
    assert enter(course, ada=records) == ["ada"]
    assert enter(course, ada=records) == []
    ready = {"ada": records}
    code = (
        "import json, sys; from pathlib import Path; from autograder.gradebook import commit\n"
        "found = commit.enter(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))\n"
        "assert not found, found; assert not {'nbgrader', 'torch', 'nbformat'} & set(sys.modules)"
    )
    line = [sys.executable, "-c", code, str(course), ASSIGNMENT, json.dumps(ready)]
    subprocess.run(line, check=True, env=environment(), cwd=small_course.ROOT)


@pytest.mark.parametrize("harm", ["gradebook", "copies", "mark", "note"])
def test_what_was_lost_or_changed_is_put_right(course, harm):
    records = {"ada": graded(course), "bob": graded(course, "k2", points={TESTED: 3.0})}
    enter(course, **records)
    held, kept = gradebook(course), copies(course)
    if harm == "gradebook":
        (course / "gradebook.db").unlink()
    elif harm == "copies":
        shutil.rmtree(course / "autograded")
    elif harm == "mark":
        query(course, "UPDATE grade SET auto_score = 99 WHERE auto_score = 3")
    else:
        for path in (course / ".autograder" / "entered").rglob("*.json"):
            path.write_text("{")
    released = course / "release" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
    before = released.stat()
    enter(course, **records)
    assert gradebook(course) == held
    assert copies(course) == kept
    assert enter(course, **records) == []
    assert released.stat().st_mtime_ns == before.st_mtime_ns, (
        "the release stays as students have it"
    )


def test_cells_that_were_entered_by_half_are_entered_again(course):
    query(course, "DELETE FROM source_cell WHERE name = ?", TESTED)
    enter(course, ada=graded(course))
    assert query(course, "SELECT count(*) FROM source_cell WHERE name = ?", TESTED) == [(1,)]


def test_a_submission_is_entered_whole_or_not_at_all(course, monkeypatch):
    enter(course, ada=graded(course, points={TESTED: 1.0}))
    held = gradebook(course)

    def fail(*_: object) -> None:
        raise AutograderError("in the middle")

    with monkeypatch.context() as patched:
        patched.setattr(commit.Gradebook, "_penalise", fail)
        with pytest.raises(AutograderError, match="in the middle"):
            enter(course, ada=graded(course, "k2"), bob=graded(course, "k3"))
    assert gradebook(course) == held
    enter(course, ada=graded(course, "k2"), bob=graded(course, "k3"))
    assert marks(course)["ada", TESTED] == marks(course)["bob", TESTED] == 8.0


def test_a_gradebook_that_cannot_be_written_is_told_in_words(course):
    records = graded(course)
    enter(course, ada=records)
    (course / "gradebook.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(AutograderError, match=r"gradebook .* cannot be written"):
        enter(course, ada=records)


def test_two_commits_at_once_wait_for_each_other(course):
    first = commit.Gradebook(course, ASSIGNMENT)
    line = "import sys; sys.path[0] = sys.argv[3]; from pathlib import Path\n"
    line += "from autograder.gradebook.commit import Gradebook\n"
    line += "Gradebook(Path(sys.argv[1]), sys.argv[2]).close()"
    arguments = [str(course), ASSIGNMENT, str(small_course.ROOT)]
    other = subprocess.Popen([sys.executable, "-c", line, *arguments], env=environment())
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(timeout=4)
    first.close()
    assert other.wait(timeout=120) == 0


HOSTILE = """# Mine <script>alert(1)</script>

<img src=x onerror=alert(2)> <iframe src="javascript:alert(3)"></iframe> [x](javascript:alert(4))
<a href="&#106;avascript:alert(5)">x</a> <svg onload=alert(6)><details ontoggle=alert(7) open>
<style>body {display: none}</style> <form action="//elsewhere"><input></form>
<img src="https://elsewhere/pixel.png"> ![y](https://elsewhere/pixel.png)

**Bold**, `code`, $a < b$, and

| a | b |
|---|---|
| 1 | 2 |
"""


def hostile(notebook: nbformat.NotebookNode) -> None:
    """Texts and outputs as a student might have them."""
    new, output = nbformat.v4, nbformat.v4.new_output
    script = "<script>alert(8)</script>"
    notebook.cells.insert(1, new.new_markdown_cell(HOSTILE, id="own-1"))
    notebook.cells.insert(2, new.new_raw_cell(script, id="own-2"))
    outputs = [
        output("stream", name="stdout", text=script),
        output("error", ename=script, evalue=script, traceback=[script]),
        *(output("display_data", data={kind: script}) for kind in ("text/plain", "text/markdown")),
        *(output("display_data", data={kind: script}) for kind in ("text/html", "text/latex")),
        output("display_data", data={"application/javascript": "alert(9)"}),
    ]
    cell = new.new_code_cell(f"print('{script}')", id="own-3", outputs=outputs)
    notebook.cells.insert(3, cell)


def scripts(page: BeautifulSoup) -> list[str]:
    """Whatever in a page would run, or call elsewhere."""
    found = [str(t) for t in page.find_all(["script", "iframe", "svg", "form", "style", "object"])]
    for tag in page.find_all(True):
        found += [f"{tag.name} {name}" for name in tag.attrs if name.startswith("on")]
        where = " ".join(str(tag.get(name, "")) for name in ("href", "src", "srcset", "action"))
        if "script:" in where or (tag.name == "img" and not where.strip().startswith("data:")):
            found += [str(tag)] if where.strip() else []
    return found


def nbgrader(course: Course, *arguments: str) -> None:
    line = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(line, cwd=course, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_feedback_runs_nothing_and_hides_the_tests(course):
    enter(course, ada=graded(course, edit=hostile, text=HOSTILE))
    nbgrader(course, "generate_feedback", ASSIGNMENT)
    text = (course / "feedback" / "ada" / ASSIGNMENT / f"{NOTEBOOK}.html").read_text()
    page = BeautifulSoup(text, "html.parser")
    body = page.find(id="notebook")
    assert scripts(body) == []
    assert "autograder import check" not in text
    shown = body.get_text()
    assert "hidden checks run here" in shown
    assert "$a < b$" in shown
    assert body.find("strong", string="Bold")
    assert len(body.find_all("td", string="1")) == 2
    assert shown.count("<script>alert(8)</script>") >= 5, "shown as text"


def test_formgrader_runs_nothing(course):
    """Its page is made by nbconvert, too, with a template of its own."""
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers

    from autograder.gradebook.differences import settings

    config = settings(course)
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    notebook = released(course)
    hostile(notebook)
    about = {"base_url": "", "index": 0, "total": 1, "notebook_id": "n"}
    html, _ = HTMLExporter(config=config).from_notebook_node(notebook, resources=about)
    body = BeautifulSoup(html, "html.parser").find(id="notebook")
    assert scripts(body) == []
    assert "Bold" in body.get_text()


def test_export_holds_the_marks(course):
    enter(course, ada=graded(course), bob=graded(course, "k2", points={TESTED: 3.0}))
    by_hand(course, WRITTEN, 2.0)
    nbgrader(course, "export")
    with (course / "grades.csv").open() as file:
        scores = {r["student_id"]: float(r["score"]) for r in csv.DictReader(file)}
    total = sum(r[3] or 0.0 for r in gradebook(course) if r[0] == "ada")
    written = sum(1 for r in gradebook(course) if r[0] == "ada" and r[4] is not None)
    assert scores == {"ada": total + 2.0 * written, "bob": total + 2.0 * written - 5.0}


def test_a_mark_of_another_text_leaves_as_no_mark(course):
    """What the exports read from the gradebook: marks by hand, extra credit, penalties."""
    enter(course, ada=graded(course))
    by_hand(course, WRITTEN, 3.0)
    query(course, "UPDATE grade SET extra_credit = 1.5 WHERE auto_score = 8")
    with commit.Gradebook(course, ASSIGNMENT) as book:
        given = book.given()
        assert given.by_hand["ada", WRITTEN] == 3.0
        assert given.bonus["ada", TESTED] == 1.5
    enter(course, ada=graded(course, "k2", text="It is otherwise."))
    with commit.Gradebook(course, ASSIGNMENT) as book:
        assert book.given().by_hand["ada", WRITTEN] is None


def test_a_notebook_without_points_is_nobodys_work(course):
    """A stray notebook beside the release, or one that students only read."""
    folder = course / "release" / ASSIGNMENT
    stray = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    nbformat.write(stray, folder / "Untitled.ipynb")
    nbformat.write(stray, course / "source" / ASSIGNMENT / "Untitled.ipynb")
    assert list(release.released_notebooks(course, ASSIGNMENT)) == [NOTEBOOK]
    (line,) = release.without_points(course, ASSIGNMENT)
    assert "Untitled.ipynb: passed over" in line
    query(course, "DELETE FROM source_cell")  # nbgrader enters the source again, and the notebook
    assert enter(course, ada=graded(course)) == ["ada"]
    assert query(course, "SELECT count(*) FROM notebook") == [(2,)]
    assert enter(course, ada=graded(course)) == []


def test_an_extension_without_a_due_date_is_no_lateness(course):
    enter(course, ada=graded(course))
    query(course, "UPDATE submitted_assignment SET extension = '1970-01-03 00:00:00.000000'")
    late(course, graded(course), "2026-05-01T12:00:01+00:00")
    assert penalty(course) is None


SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
TEXTS = {
    "explain": "![p](attachment:p.svg) ![w](attachment:w.webp)",
    "lost": "**Mine** ![x](attachment:lost.png)",
    "deep": "> " * 3000 + "x",
    "nested": "<div>" * 3000,
}


def pasted(notebook: nbformat.NotebookNode) -> None:
    """Honest and odd texts as `rebuild` hands them on, one below the other."""
    encoded = base64.b64encode(SVG.encode()).decode()
    pictures = {"p.svg": {"image/svg+xml": encoded}, "w.webp": {"image/webp": "UklGRg=="}}
    for name, text in TEXTS.items():
        cell = nbformat.v4.new_markdown_cell(text, id=f"own-{name}")
        cell.attachments = pictures
        notebook.cells.insert(1, cell)


def feedback(course: Course, student: str = "ada") -> str:
    return (course / "feedback" / student / ASSIGNMENT / f"{NOTEBOOK}.html").read_text()


def test_no_text_costs_the_feedback_and_every_run_makes_it_anew(course):
    enter(course, ada=graded(course, edit=pasted), bob=graded(course, "k2"))
    nbgrader(course, "generate_feedback", ASSIGNMENT)
    page = feedback(course)
    assert "data:image/svg+xml;base64," in page
    assert "data:image/webp;base64," in page
    assert "**Mine** ![x](attachment:lost.png)" in page, "shown as it was written"
    enter(course, ada=graded(course, "k3", text="A new answer."))
    by_hand(course, WRITTEN, 1.25)
    enter(course, bob={NOTEBOOK: record("k4", "rejected", reason="broken")})
    assert not (course / "feedback" / "bob" / ASSIGNMENT / f"{NOTEBOOK}.html").exists()
    nbgrader(course, "generate_feedback", ASSIGNMENT)
    assert "A new answer." in feedback(course)
    assert "1.25" in feedback(course)


PAGE = (small_course.ROOT / "book" / "instructor.md").read_text()


def recipe(word: str) -> str:
    """The code of the instructor's page that holds a word."""
    blocks = re.findall(r"```(?:bash|python)\n(.*?)```", PAGE, re.DOTALL)
    (found,) = (block for block in blocks if word in block)
    return found


def exported(course: Course, monkeypatch, received: str) -> dict[str, str]:
    """The row of ann in `autograder export csv`, without a run of `autograder grade`."""
    found = graded(course)[NOTEBOOK] | {"student": "ann", "notebook": NOTEBOOK}
    job = Job("k1", "ann", ASSIGNMENT, NOTEBOOK, "", received, "", "")
    monkeypatch.setattr(cli, "_current", lambda options: [(job, found)])
    path = course / "marks.csv"
    assert cli.main(["export", "csv", "--course", str(course), "-o", str(path)]) == 0
    with path.open() as file:
        return next(csv.DictReader(file))


def test_the_recipes_of_the_instructors_page_do_what_they_say(course, monkeypatch):
    """Each one counts in the next export, although nothing is graded again."""
    received = "2026-12-01T23:30:00+00:00"  # half past midnight in Berlin
    monkeypatch.chdir(course.parent)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    (course / "nbgrader_local.py").write_text(recipe("class Tenth"))
    first = exported(course, monkeypatch, received)
    assert first["late_penalty"] == "0"
    by_hand(course, WRITTEN, 4.0)
    subprocess.run(["bash", "-ec", recipe("--duedate")], check=True, env=environment() | os.environ)
    late = exported(course, monkeypatch, received)
    assert float(late["late_penalty"]) == pytest.approx(0.1 * float(late["max"]))
    assert float(late["total"]) == pytest.approx(0.9 * float(late["max"]))
    exec(recipe("grant_extension"), {})
    assert exported(course, monkeypatch, received)["total"] == late["max"]
    assert row(course, TESTED, "ann") == (8.0, None, 0)
    exec(recipe("manual_score"), {})
    assert row(course, TESTED, "ann") == (8.0, 8.0, 0)
