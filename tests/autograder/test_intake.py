"""What is taken from a folder, what is refused in words, and what never stops the class."""

import ast
import contextlib
import ctypes
import json
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import small_course
from submissions import NAME, ROOT, Class, filled, released

from autograder import cli
from autograder.errors import AutograderError
from autograder.gradebook import differences, ledger
from autograder.gradebook.assignment import enter_cells
from autograder.gradebook.records import ungraded
from autograder.grading import class_run
from autograder.submissions import intake
from autograder.submissions.files import SubmissionRefused, find, list_files
from autograder.submissions.reading import UnreadableNotebook, read_notebook
from autograder.submissions.rebuild import rebuild
from autograder.submissions.release import require_importable

RELEASED = ["01_vae_beta", "03_ddpm_ddim"]


@pytest.fixture
def school(tmp_path) -> Class:
    return Class(tmp_path)


def the_job(school: Class, student: str = "ann") -> intake.Job:
    (job,) = [job for job in intake.jobs(school.course, "project3") if job.student == student]
    return job


def found_in(folder: Path, files: dict[str, str], name: str = "03_ddpm_ddim") -> str | None:
    """The file that counts, where `files` (name: text) were handed in; "given" is blank."""
    for file, text in files.items():
        (folder / file).parent.mkdir(exist_ok=True, parents=True)
        (folder / file).write_text(text)

    def is_blank(file: str) -> bool:
        return files[file] == "given"

    return find(list_files(folder, RELEASED), name, RELEASED, is_blank)


@contextlib.contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """A folder that cannot be read, not even by root, who gives that right away meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    head, own = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # capget(2)
    assert libc.capget(head, own) == 0
    less = (ctypes.c_uint32 * 6)(*own)
    less[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of the effective ones
    folder.chmod(0)
    assert libc.capset(head, less) == 0
    try:
        yield
    finally:
        assert libc.capset(head, own) == 0
        folder.chmod(0o700)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["03_ddpm_ddim.ipynb", "03_ddpm_ddim (1).ipynb"], "03_ddpm_ddim.ipynb"),
        (["03_ddpm_ddim.ipynb", "work.zip", "figures/03_ddpm_ddim.png"], "03_ddpm_ddim.ipynb"),
        (["03_ddpm_ddim (1).ipynb"], "03_ddpm_ddim (1).ipynb"),
        (["Copy of 03_ddpm_ddim.ipynb"], "Copy of 03_ddpm_ddim.ipynb"),
        (["03-DDPM-DDIM.ipynb", "01_vae_beta.ipynb"], "03-DDPM-DDIM.ipynb"),
        (["03_ddpm_ddim.IPYNB"], "03_ddpm_ddim.IPYNB"),
        (["03_ddpm_ddim.ipynb.json"], "03_ddpm_ddim.ipynb.json"),
        (["03_ddpm_ddim.ipynb.txt", "01_vae_beta.ipynb"], "03_ddpm_ddim.ipynb.txt"),
        (["03_ddpm_ddim.ipynb", "._03_ddpm_ddim (1).ipynb"], "03_ddpm_ddim.ipynb"),
        (["03_ddpm_ddim (1).ipynb", "._03_ddpm_ddim (1).ipynb"], "03_ddpm_ddim (1).ipynb"),
        (["01_vae_beta.ipynb", "desktop.ini", "Thumbs.db", "__MACOSX/._03_ddpm_ddim.ipynb"], None),
        (["desktop.ini", ".DS_Store", ".git/config"], None),
        (["01_vae_beta.ipynb"], None),
        (["01_vae_beta.ipynb", "01_vae_beta.html", "figures/loss.png", "notes.pdf"], None),
        (["01_vae_beta.ipynb", ".ipynb_checkpoints/03_ddpm_ddim-checkpoint.ipynb"], None),
        ([], None),
    ],
)
def test_a_notebook_is_found_under_the_names_that_programs_give_it(files, found, tmp_path):
    assert found_in(tmp_path, dict.fromkeys(files, "work")) == found


@pytest.mark.parametrize(
    "files",
    [
        ["03_ddpm_ddim (1).ipynb", "03_ddpm_ddim (2).ipynb"],
        ["mine.ipynb"],
        ["03_ddpm_ddim.json"],
        [".03_ddpm_ddim.ipynb", "01_vae_beta.ipynb"],
        [".hidden/mine.ipynb", "01_vae_beta.ipynb"],
        [".hidden/mine.ipynb"],
        ["03_ddpm_ddim.zip", "01_vae_beta.ipynb"],
        ["all.ZIP", "01_vae_beta.ipynb"],
        ["week2/03_ddpm_ddim.ipynb", "01_vae_beta.ipynb"],
        ["a/b/c/mine.ipynb", "01_vae_beta.ipynb"],
        ["03_ddpm_ddim.html"],
        ["03_ddpm_ddim.py"],
        ["my_work", "01_vae_beta.ipynb"],
        ["all.7z.001", "01_vae_beta.ipynb"],
        ["all.tar.zst", "01_vae_beta.ipynb"],
        ["sub/nb.json", "01_vae_beta.ipynb"],
        ["answers.py"],
    ],
)
def test_a_doubt_is_for_a_person(files, tmp_path):
    with pytest.raises(SubmissionRefused, match="is missing"):
        found_in(tmp_path, dict.fromkeys(files, "work"))


@pytest.mark.parametrize(
    "other", ["03_ddpm_ddim-Copy1.ipynb", "final.ipynb", "work.zip", "03_ddpm_ddim.ipynb.txt"]
)
def test_a_blank_notebook_beside_the_work_is_for_a_person(other, tmp_path):
    with pytest.raises(SubmissionRefused, match="unchanged since its release"):
        found_in(tmp_path, {"03_ddpm_ddim.ipynb": "given", other: "work"})


def test_what_lies_beside_notebooks_is_no_doubt(tmp_path):
    names = ["01_vae_beta.ipynb", "timestamp.txt", "plot.png", "help.py", ".DS_Store",
             "__pycache__/help.pyc", "data/MNIST/raw/train-images-idx3-ubyte.gz"]  # fmt: skip
    assert found_in(tmp_path, dict.fromkeys(names, "work")) is None


def test_a_link_may_lead_to_the_work(tmp_path):
    (tmp_path / "01_vae_beta.ipynb").write_text("work")
    (tmp_path / "sub").symlink_to("/nowhere")
    with pytest.raises(SubmissionRefused, match="the work may be in"):
        found_in(tmp_path, {})


@pytest.mark.parametrize("where", ["", "/project3"])
def test_a_folder_that_cannot_be_read_is_for_a_person_and_stops_no_one(where, school):
    """As a user with no right to it; root may read all."""
    for student in ("ann", "bob"):
        school.hand_in(student, filled())
    closed = school.course / f"submitted/ann{where}"
    with forbidden(closed):
        assert "cannot be read" in the_job(school).reason
        assert the_job(school, "bob").reason == ""


def test_a_folder_inside_that_cannot_be_read_may_hold_the_work(tmp_path):
    (tmp_path / "01_vae_beta.ipynb").write_text("work")
    (tmp_path / "sub").mkdir()
    with forbidden(tmp_path / "sub"), pytest.raises(SubmissionRefused, match="the work may be in"):
        found_in(tmp_path, {})


def test_a_blank_copy_beside_a_blank_notebook_is_no_doubt(tmp_path):
    files = {"03_ddpm_ddim.ipynb": "given", "03_ddpm_ddim-Copy1.ipynb": "given"}
    assert found_in(tmp_path, files) == "03_ddpm_ddim.ipynb"


def test_a_notebook_is_blank_whatever_was_run_in_it(school):
    given = json.loads(json.dumps(released()))
    for cell in given["cells"]:
        if cell["cell_type"] == "code":
            cell["execution_count"] = 3
    school.hand_in("ann", given)
    school.hand_in("bob", given)
    work = school.folder("bob") / f"{NAME}-Copy1.ipynb"
    work.write_text(json.dumps(filled()))
    assert the_job(school).reason == ""
    assert work.name in the_job(school, "bob").reason


def test_a_job_has_the_copy_and_the_digest_of_what_was_handed_in(school):
    school.hand_in("ann", filled())
    job = the_job(school)
    path = school.folder("ann") / f"{NAME}.ipynb"
    assert Path(job.spooled).read_bytes() == path.read_bytes()
    assert Path(job.spooled).stem == job.submission
    assert the_job(school).key == job.key
    path.write_text("{}")
    assert the_job(school).key != job.key


def test_the_graders_version_changes_with_every_file_of_both_packages(tmp_path, monkeypatch):
    for package in ("autograder", "mnistdiff"):
        others = shutil.ignore_patterns("__pycache__", "*.safetensors", "*.json", "*.png")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=others)
    monkeypatch.setattr(intake, "PACKAGES", tmp_path)
    files, seen = sorted(tmp_path.rglob("*.py")), {intake.grader_version.__wrapped__()}
    assert seen == {intake.grader_version()}
    for file in files:
        file.write_text(file.read_text() + "# changed\n")
        seen.add(intake.grader_version.__wrapped__())
    assert len(seen) == len(files) + 1 > 100


def test_a_damaged_copy_is_made_again(school):
    school.hand_in("ann", filled())
    copy = Path(the_job(school).spooled)
    whole = copy.read_bytes()
    copy.write_bytes(whole[:1000])
    assert Path(the_job(school).spooled).read_bytes() == whole


def test_nothing_handed_in_is_missing_and_not_refused(school):
    school.folder("ann")
    job = the_job(school)
    assert (job.reason, job.spooled) == ("", "")


def test_a_packed_or_nested_submission_is_refused_not_missing(school):
    (school.folder("ann") / "work.zip").write_bytes(b"PK")
    (school.folder("bob") / "project3").mkdir()
    assert "work.zip" in the_job(school).reason
    assert "project3" in the_job(school, "bob").reason


def test_names_are_normalised_and_never_patterns(school):
    for student in (unicodedata.normalize("NFD", "né"), "[a-z]*", "a b", "-rf"):
        school.hand_in(student, filled())
    found = [job.student for job in intake.jobs(school.course, "project3")]
    assert sorted(found) == sorted(["né", "[a-z]*", "a b", "-rf"])
    only = [job.student for job in intake.jobs(school.course, "project3", {"[a-z]*"})]
    assert only == ["[a-z]*"]


def said(school: Class, capsys, *command: str) -> str:
    """What a command of the grader prints."""
    assert cli.main([*command, "--course", str(school.course)]) == 0
    return "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("names", "student", "shown"),
    [
        (("né", unicodedata.normalize("NFD", "né")), "né", ["'n\\xe9'", "'ne\\u0301'"]),
        (("ann", "ann\u200b"), "ann", ["'ann'", "'ann\\u200b'"]),  # exports would hold ann twice
        (("ann", "\u202eann", "a\u2060nn"), "ann", ["'\\u202eann'", "'a\\u2060nn'"]),
    ],
)
def test_names_that_look_the_same_are_for_a_person_and_stop_no_one(
    school, capsys, names, student, shown
):
    for name in (*names, "bob"):
        school.hand_in(name, filled())
    found = {job.student: job.reason for job in intake.jobs(school.course, "project3")}
    assert set(found) == {student, "bob"}
    assert found["bob"] == ""
    assert "look like the same name: rename one" in found[student]
    assert all(name in found[student] for name in shown)
    text = said(school, capsys, "status")
    assert text.replace("\n", "").isprintable()
    assert "2 students" in text


@pytest.mark.parametrize(
    "name",
    [b"a\xff", b"a\x1b[2J", b"a\nb", b"x" * 129, "\u200b".encode()],
)
def test_a_name_that_no_gradebook_can_hold_is_passed_over_and_stops_no_one(school, capsys, name):
    import os

    school.hand_in("bob", filled())
    path = os.path.join(os.fsencode(school.course), b"submitted", name, b"project3")
    os.makedirs(path)
    assert [job.student for job in intake.jobs(school.course, "project3")] == ["bob"]
    text = said(school, capsys, "status")
    assert text.replace("\n", "").isprintable()
    assert "rename the folder" in text


def test_the_length_of_a_name_is_that_of_its_characters(school):
    school.hand_in("ne\u0301" * 60, filled())
    assert the_job(school, "n\xe9" * 60).reason == ""


def test_a_name_that_is_written_from_right_to_left_cannot_turn_the_terminals_line(school, capsys):
    school.hand_in("bob\u202e\u200b", filled())
    (school.folder("bob\u202e\u200b") / f"{NAME}.ipynb").write_text("{}")
    text = said(school, capsys, "status")
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("h24/Project 3/03.ipynb", "h24/Project 3"),
        ("section 1/ann/project3/03.ipynb", "section 1/ann"),
        (".hidden/project3/03.ipynb", ".hidden"),
        ("bob/project 3/03.ipynb", "bob/project 3"),
        ("bob/03.ipynb", "bob/03.ipynb"),
        ("h25/project3.zip", "h25"),
        ("h25/.hidden/03.ipynb", "h25/.hidden"),
        ("a[b]/project3/03.ipynb", "a[b]"),
    ],
)
def test_work_in_another_place_is_told(school, capsys, place, told):
    school.hand_in("bob", filled())
    before = said(school, capsys, "status")
    path = school.course / "submitted" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    new = [line for line in said(school, capsys, "status").splitlines() if line not in before]
    assert any(line.startswith(f"{told}: ") for line in new), new


@pytest.mark.parametrize(
    "place",
    [
        "bob/project2/03.ipynb",
        "eve/project2/03.ipynb",
        "bob/notes.txt",
        "bob/.ipynb_checkpoints/03.ipynb",
        ".ipynb_checkpoints/03.ipynb",
        ".git/config",
        "desktop.ini",
        "._bob",
        ".keep",
    ],
)
def test_what_is_no_work_in_another_place_is_not_told(school, capsys, place):
    school.hand_in("bob", filled())
    (school.course / "release" / "project2").mkdir()
    before = said(school, capsys, "status")
    path = school.course / "submitted" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    assert said(school, capsys, "status") == before


def test_a_hidden_file_in_the_release_is_no_notebook(school):
    school.hand_in("ann", filled())
    (school.course / "release" / "project3" / "._01_vae_beta.ipynb").write_bytes(b"\0\5\x16\7")
    assert the_job(school).notebook == NAME
    require_importable(school.course, "project3")


def test_those_who_handed_in_nothing_stand_in_lines_of_readable_length(school, capsys):
    for number in range(60):
        school.folder(f"student-{number}")
    book = ledger.Ledger(ledger.folder(school.course) / "main.jsonl")
    with book:
        for job in intake.jobs(school.course, "project3"):
            book.append(ungraded(job, "missing", "it was not handed in"))
    text = said(school, capsys, "status")
    assert "student-59" in text
    assert max(map(len, text.splitlines())) <= 100


def test_why_notebooks_wait_is_told(school, capsys, monkeypatch):
    school.hand_in("ann", filled())
    with ledger.Ledger(ledger.folder(school.course) / "main.jsonl") as book:
        book.append(ungraded(the_job(school), "rejected", "x"))
    school.hand_in("bob", filled())
    assert "graded before" not in said(school, capsys, "status")
    monkeypatch.setattr(intake, "grader_version", lambda: "another")
    text = said(school, capsys, "status")
    assert "     2 waiting" in text
    assert "1 of those waiting were graded before" in text


def test_marks_without_a_submission_are_told(school, capsys, monkeypatch):
    school.hand_in("ann", filled())
    monkeypatch.setattr(differences, "rows", lambda *given: {"ann": [], "gone": []})
    (line,) = [row for row in said(school, capsys, "status").splitlines() if "gradebook" in row]
    assert line.startswith("gone: ")


def test_a_question_mark_in_the_courses_path_is_an_error_in_words(tmp_path, capsys):
    (tmp_path / "why?").mkdir()
    assert cli.main(["status", "--course", str(tmp_path / "why?")]) == 2
    assert "rename it" in capsys.readouterr().err


def test_a_name_like_an_option_has_a_remedy(capsys):
    with pytest.raises(SystemExit):
        cli.main(["explain", "-rf"])
    assert "Write -- before" in capsys.readouterr().err


# Python files beside the notebooks


def test_python_files_beside_the_notebook_come_along(school):
    school.hand_in("ann", filled())
    key = the_job(school).key
    folder = school.folder("ann")
    (folder / "old.py").mkdir()
    for name in ("mine.py", "more/inner.py", ".hidden.py", ".venv/lib.py", "a/b/deep.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"# \xff")
    job = the_job(school)
    assert [name for name, _ in job.helpers] == ["mine.py", "more/inner.py"]
    assert Path(job.helpers[0][1]).read_bytes() == b"# \xff"
    assert job.key != key
    (folder / "mine.py").write_text("another")
    assert the_job(school).key not in (key, job.key)


@pytest.mark.parametrize("case", ["link", "many", "large", "device"])
def test_python_files_that_cannot_be_taken_stop_nothing_and_are_told(school, case):
    import os

    school.hand_in("ann", filled())
    folder = school.folder("ann")
    match case:
        case "link":
            (folder / "mine.py").symlink_to("/etc/passwd")
        case "many":
            for number in range(51):
                (folder / f"m{number}.py").write_text("")
        case "large":
            (folder / "mine.py").write_bytes(b"#" * (513 << 10))
        case "device":
            os.mkfifo(folder / "mine.py")
    job = the_job(school)
    assert (job.reason, job.helpers) == ("", [])
    assert job.remark.startswith("its Python files were not used: ")


def test_a_file_name_cannot_command_a_terminal(school):
    (school.folder("ann") / "\x1b[2J.ipynb").write_text("{}")
    assert the_job(school).reason.isprintable()


@pytest.mark.parametrize(
    "text", ["0001-01-01 00:00:00+14:00", "9999-12-31 23:59:59-14:00", "soon", "\xff" * 99, ""]
)
def test_an_odd_time_of_their_own_is_no_time(school, text):
    school.hand_in("ann", filled())
    (school.folder("ann") / "timestamp.txt").write_text(text)
    assert the_job(school).received is None


def test_what_is_passed_over_is_told(school, capsys):
    school.hand_in("ann", filled())
    submitted = school.course / "submitted"
    for name in ("bob", "other/project2", ".hidden"):
        (submitted / name).mkdir(parents=True)
    (submitted / "bob" / f"{NAME}.ipynb").write_text("{}")
    (submitted / "link").symlink_to(submitted / "ann")
    (submitted / "all.zip").write_text("")
    assert cli.main(["status", "--course", str(school.course)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "passed over" in line]
    assert [line.partition(":")[0] for line in told] == ["all.zip", "bob", "link"]


def test_a_course_that_is_not_there_is_not_begun(tmp_path, capsys):
    for command in (["grade"], ["status"], ["export", "csv"]):
        assert cli.main([*command, "--course", str(tmp_path / "corse")]) == 2
        assert "--course" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_shard_leaves_no_ledger(school, capsys):
    school.hand_in("ann", filled())
    assert cli.main(["grade", "--unsafe", "--course", str(school.course), "--shard", "5/4"]) == 2
    assert "expected i/n" in capsys.readouterr().err
    assert not ledger.folder(school.course).exists()


def test_a_release_that_is_no_notebook_is_an_error_in_words(school):
    school.hand_in("ann", filled())
    (school.course / "release" / "project3" / f"{NAME}.ipynb").write_text('{"cells": [')
    with pytest.raises(AutograderError, match="make course"):
        list(intake.jobs(school.course, "project3"))


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("from mnistdiff.expect import expect", "mnistdiff.expect"),
        ("import torch\n    import mnistdiff.report as report", "mnistdiff.report"),
        ("from mnistdiff import training, text_plots as plots", "mnistdiff.text_plots"),
    ],
)
def test_a_release_of_another_version_is_refused_before_it_costs_marks(school, line, lost):
    path = school.course / "release" / "project3" / f"{NAME}.ipynb"
    notebook = json.loads(path.read_text())
    require_importable(school.course, "project3")
    notebook["cells"][0] |= {"cell_type": "code", "source": line}
    path.write_text(json.dumps(notebook))
    with pytest.raises(AutograderError, match=rf"imports {lost}, which .* `make course`"):
        require_importable(school.course, "project3")


def test_the_released_notebooks_import_what_there_is(tmp_path):
    shutil.copytree(ROOT / "notebooks", tmp_path / "release" / "project3")
    require_importable(tmp_path, "project3")


@pytest.mark.parametrize("text", ["c = get_config(", "raise ValueError('x')", "\xff"])
def test_settings_that_cannot_be_read_are_an_error_in_words(tmp_path, text):
    (tmp_path / "nbgrader_config.py").write_bytes(text.encode("latin-1"))
    with pytest.raises(AutograderError, match="Fix it"):
        differences.settings(tmp_path)


def test_receipts_come_before_a_time_of_their_own(school):
    school.hand_in("ann", filled())
    (school.folder("ann") / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC")
    assert the_job(school).received == "2020-01-01T00:00:00+00:00"
    rows = "\ufeffstudent,assignment,received\nann,project3,2026-05-02T10:00:00+02:00\n"
    (school.course / "receipts.csv").write_text(rows)  # as a spreadsheet saves it
    assert the_job(school).received == "2026-05-02T08:00:00+00:00"


@pytest.mark.parametrize(
    "row", ["ann,project3", "ann,project3,soon", "ann,project3,0001-01-01T00:00+14:00"]
)
def test_a_wrong_receipt_is_an_error_in_words(school, row):
    school.hand_in("ann", filled())
    (school.course / "receipts.csv").write_text(f"student,assignment,received\n{row}\n")
    with pytest.raises(AutograderError, match="line 2"):
        the_job(school)


def test_receipts_in_another_encoding_are_an_error_in_words(school):
    school.hand_in("ann", filled())
    rows = "student,assignment,received\nJos\u00e9,project3,2026-05-02\n"
    (school.course / "receipts.csv").write_bytes(rows.encode("cp1252"))
    with pytest.raises(AutograderError, match="UTF-8"):
        the_job(school)


def test_no_one_handed_in_is_an_error_in_words(school):
    with pytest.raises(AutograderError, match="no one has handed in"):
        list(intake.jobs(school.course, "project3"))


def write(path: Path, notebook: object) -> str:
    path.write_text(json.dumps(notebook))
    return str(path)


def test_old_notebooks_are_read(tmp_path):
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}}
    cell = {"cell_type": "code", "input": ["a = 1\n", "b"], "outputs": [], "language": "python"}
    old["worksheets"] = [{"cells": [cell | {"metadata": {}}], "metadata": {}}] * 2
    found = read_notebook(write(tmp_path / "x.ipynb", old)).cells
    assert [cell.source for cell in found] == 2 * ["a = 1\nb"]
    oldest = {"nbformat": 1, "cells": [{"cell_type": "code", "code": "a = 1"}]}
    (found,) = read_notebook(write(tmp_path / "x.ipynb", oldest)).cells
    assert found.source == "a = 1"


def test_sheets_of_an_old_notebook_hold_no_more_cells_than_a_notebook(tmp_path):
    cells = [{"cell_type": "code", "input": "", "outputs": []}] * 3_000
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": 2 * [{"cells": cells}]}
    with pytest.raises(UnreadableNotebook, match="6000 cells"):
        read_notebook(write(tmp_path / "x.ipynb", old))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_notebook_that_an_editor_has_saved_otherwise_is_read(tmp_path, encoding):
    path = tmp_path / "x.ipynb"
    path.write_bytes(json.dumps(filled(), ensure_ascii=False).encode(encoding))
    assert [c.source for c in read_notebook(str(path)).cells] == [c.source for c in filled().cells]


def test_texts_become_ones_that_a_file_can_hold(tmp_path):
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    notebook["cells"] = [{"cell_type": "code", "source": ["a\r\n", "\ud800"], "metadata": 5}]
    (found,) = read_notebook(write(tmp_path / "x.ipynb", notebook)).cells
    assert (found.source, found.metadata) == ("a\n?", {})


@pytest.mark.parametrize("cells", [5, [5], [{}], [{"cell_type": "code"}], {}, None])
def test_what_is_no_cell_is_refused_in_words(tmp_path, cells):
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    with pytest.raises(UnreadableNotebook):
        read_notebook(write(tmp_path / "x.ipynb", notebook))


@pytest.mark.parametrize("place", ["notebook", "metadata", "outputs", "cell", "role", "picture"])
def test_what_grading_does_not_read_takes_no_memory(tmp_path, monkeypatch, place):
    """Small objects take two hundred times their size once nbformat has read them."""
    notebook = json.loads(json.dumps(filled()))
    cell = notebook["cells"][4]
    places = {"notebook": notebook, "metadata": notebook["metadata"], "cell": cell["metadata"]}
    places |= {"outputs": cell, "role": cell["metadata"]["nbgrader"]}
    places |= {"picture": cell.setdefault("attachments", {}).setdefault("a.png", {})}
    places[place]["outputs" if place == "outputs" else "more"] = [{}] * 100_000
    read, sizes = nbformat.from_dict, []

    def measure(given: dict) -> nbformat.NotebookNode:
        sizes.append(len(json.dumps(given)))
        return read(given)

    monkeypatch.setattr(nbformat, "from_dict", measure)
    found = read_notebook(write(tmp_path / "x.ipynb", notebook)).cells
    assert [c.source for c in found] == [c.source for c in filled().cells]
    assert sizes[0] < 50_000


def test_more_code_than_can_be_parsed_is_refused(tmp_path):
    notebook = json.loads(json.dumps(filled()))
    given = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"] += [given | {"source": "0;" * 9_500, "id": f"x{i}"} for i in range(60)]
    with pytest.raises(UnreadableNotebook, match="characters of code"):
        read_notebook(write(tmp_path / "x.ipynb", notebook))


def test_more_lines_than_a_person_writes_are_refused(tmp_path):
    notebook = json.loads(json.dumps(filled()))
    cell = {"cell_type": "markdown", "metadata": {}, "source": "a\n" * 600_000}
    notebook["cells"] += [cell | {"id": f"x{i}"} for i in range(2)]
    with pytest.raises(UnreadableNotebook, match="lines, more than"):
        read_notebook(write(tmp_path / "x.ipynb", notebook))


def test_more_pictures_than_a_person_pastes_are_refused(tmp_path):
    notebook = json.loads(json.dumps(filled()))
    many = {f"{i}.png": {"image/png": ""} for i in range(99)}
    cell = {"cell_type": "markdown", "metadata": {}, "source": "", "attachments": many}
    notebook["cells"] += [cell | {"id": f"x{i}"} for i in range(11)]
    with pytest.raises(UnreadableNotebook, match="pasted pictures"):
        read_notebook(write(tmp_path / "x.ipynb", notebook))


@pytest.mark.parametrize("piece", ["{}", "[]", '{"a":[0]}'])
def test_more_objects_than_fit_into_memory_are_refused_before_they_are_parsed(school, piece):
    notebook = json.dumps(released() | {"metadata": {"x": "@"}})
    text = ",".join([piece] * 1_000_000)
    (school.folder("ann") / f"{NAME}.ipynb").write_text(notebook.replace('"@"', f"[{text}]"))
    assert "lists and dictionaries" in the_job(school).reason


@pytest.mark.parametrize("kind", ["code", "markdown", "raw"])
def test_no_long_text_is_parsed(tmp_path, monkeypatch, kind):
    """A syntax tree takes a thousand times the text's size."""
    parse, sizes = ast.parse, []
    monkeypatch.setattr(ast, "parse", lambda text, *more: sizes.append(len(text)) or parse(text))
    notebook = filled()
    for cell in notebook.cells:
        if cell.id == "ddim_step":
            cell.cell_type = kind
            cell.source += "\n0;" + "0;" * 400_000
    read = read_notebook(write(tmp_path / "x.ipynb", notebook))
    rebuild(released(), read)
    assert 0 < max(sizes) <= 20_000


@pytest.mark.filterwarnings("ignore:Object of type <Submitted")  # nbgrader's own
def test_why_nbgrader_refuses_the_assignments_cells_is_told(tmp_path):
    """It refuses to remove a graded cell that was handed in."""
    from nbgrader.api import Gradebook

    course = small_course.make(tmp_path / "course", ("02_latent_dim",))
    config = differences.settings(course)
    url = differences.database(course, config)
    enter_cells(course, "project3", config, url)
    with Gradebook(url) as book:
        book.update_or_create_student("ann")
        book.update_or_create_submission("project3", "ann")
    for folder in ("source", "release"):
        path = course / folder / "project3" / "02_latent_dim.ipynb"
        notebook = json.loads(path.read_text())
        notebook["cells"] = [c for c in notebook["cells"] if c["id"] != "test_active_units"]
        path.write_text(json.dumps(notebook))
    with pytest.raises(AutograderError, match=r"cannot enter .*(submission|remove|Cannot)"):
        enter_cells(course, "project3", config, url)


def test_one_notebook_of_the_class_is_graded_again(school, monkeypatch, capsys):
    school.hand_in("ann", filled())
    other = school.course / "release" / "project3" / "02_latent_dim.ipynb"
    shutil.copy(ROOT / "notebooks" / other.name, other)
    asked: list[list[str]] = []

    class Pool:
        def run(self, todo, keep, stop):
            asked.append([job.notebook for job in todo])
            return iter(())

    monkeypatch.setattr(class_run, "LocalPool", lambda workers: Pool())
    monkeypatch.setattr(class_run, "_stop_on_signals", lambda stop: None)
    line = ["regrade", "--course", str(school.course)]
    for more in ([], ["--notebook", NAME], ["ann", "--notebook", NAME]):
        assert cli.main([*line, *more]) == 0
    assert asked == [["02_latent_dim", NAME], [NAME], [NAME]]
    assert cli.main([*line, "--notebook", "03"]) == 2
    assert "03: no such notebook in the release" in capsys.readouterr().err


def test_status_names_who_is_in_the_roster_and_handed_in_nothing(school, capsys):
    school.hand_in("ann", filled())
    roster = school.course / "roster.csv"
    roster.write_text("Name;Login\nAnn;ann\nBob;bob\n")
    assert cli.main(["status", "--course", str(school.course), "--roster", str(roster)]) == 0
    assert "1 in the roster handed in nothing: bob" in capsys.readouterr().out


def test_status_names_a_notebook_without_points_and_asks_nobody_for_it(school, capsys):
    school.hand_in("ann", filled())
    path = school.course / "release" / "project3" / "Untitled.ipynb"
    path.write_text('{"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}')
    assert cli.main(["status", "--course", str(school.course)]) == 0
    said = capsys.readouterr().out
    assert "1 students, 1 notebooks" in said
    assert "Untitled.ipynb: passed over: none of its cells is worth points" in said
