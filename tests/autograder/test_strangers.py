"""Odd folders, names and files of strangers change nothing for the honest students beside them."""

import csv
import io
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import small_course
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from small_course import ASSIGNMENT, fixture

from autograder import cli

NOTEBOOK = "02_latent_dim.ipynb"
WRITTEN = "03_ddpm_ddim.ipynb"  # has a written answer
SOAK = "MNISTDIFF_SOAK" in os.environ
HONEST = 20 if SOAK else 2
ANSWER = "def active_units(mu, threshold=0.01):\n    {}\n"
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
FORK = (
    "import os, threading\n    held = bytearray(300 << 20)\n"
    "    thread = threading.Thread(target=lambda: os.fork() or bytearray(1200 << 20))\n"
    "    thread.start(); thread.join(); return 0"
)
SETS = "import ctypes\n    for i in range(600): ctypes.CDLL(None).semget(0, 32000, 0o600)"
ANSWERS = {
    "forks": FORK,
    "semaphores": SETS,
    "forges": r"raise Exception('\n+ x0_hat (8)\nhonest-00: 0 of 8')",
    "ends": "import os; os._exit(0)",
    "compiles": "import torch; return torch.compile(lambda x: (x > threshold).sum())(mu.var(0))",
    "lacks": "from einops import rearrange",
    "helped": "from helpers import units; return units(mu, threshold)",
    "smart": "return “mu”",
}
NAMES = ("Zoë", "a" * 101, "tab\tname", "bell\x07", "\u202eevil", "zero\u200bwidth", "a[b]", "-rf")


def honest(course: Path) -> None:
    """Hand in notebooks of students with and without mistakes."""
    known = sorted(p.stem for p in (small_course.ROOT / "tests/answers/ddim_step").iterdir())
    for place in range(HONEST):
        answer = fixture(f"ddim_step/{known[place * 7 % len(known)]}")
        small_course.hand_in(course, f"honest-{place:02d}", ddim_step=answer)


def folder(course: Path, student: str, **answers: str) -> Path:
    """Hand in 02, which takes less time to grade than 03, and return where it is."""
    target = course / "submitted" / student / ASSIGNMENT
    small_course.hand_in(course, student, **answers)
    (target / WRITTEN).unlink()
    return target


def edited(
    course: Path, student: str, edit: Callable[[NotebookNode], object], name: str = NOTEBOOK
) -> None:
    """Hand in a notebook that was edited."""
    small_course.hand_in(course, student)
    path = course / "submitted" / student / ASSIGNMENT / name
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    path.write_text(json.dumps(notebook))


def strangers(course: Path) -> None:
    """Hand in what went wrong at other graders and at ours."""
    submitted = course / "submitted"
    slow = {"endless": "while True: pass"} if SOAK else {}
    for name, line in (ANSWERS | slow).items():
        folder(course, name, active_units=ANSWER.format(line))
    helper = "def units(mu, threshold):\n    return int((mu.var(0) > threshold).sum())\n"
    (submitted / "helped" / ASSIGNMENT / "helpers.py").write_text(helper)
    edited(course, "pasted", lambda nb: attach(nb, "image/svg+xml", SVG), WRITTEN)
    edited(course, "webp", lambda nb: attach(nb, "image/webp", "UklGRg=="), WRITTEN)
    edited(course, "bare", lambda nb: [cell.metadata.clear() for cell in nb.cells])
    edited(course, "crlf", lambda nb: [windows(cell) for cell in nb.cells])
    if SOAK:
        edited(course, "long", lambda nb: nb.cells.append(new_code_cell("0;" * 1_000_000)))
    (folder(course, "cut") / NOTEBOOK).write_text('{"cells": [')
    (folder(course, "huge") / NOTEBOOK).write_text('{"cells": [' + "[]," * 7_000_000 + "[]]}")
    (folder(course, "binary") / NOTEBOOK).write_bytes(b"\xff\xfe\x00" * 99)
    link = folder(course, "link") / NOTEBOOK
    link.unlink()
    link.symlink_to("/etc/passwd")
    (folder(course, "deep") / "files").mkdir()
    for path in (submitted / "deep" / ASSIGNMENT).glob("*.ipynb"):
        path.rename(path.parent / "files" / path.name)
    folder(course, "hidden")
    shutil.move(submitted / "hidden", submitted / ".hidden")
    for name in NAMES:
        folder(course, name)
    shutil.copytree(submitted / "Zoë", submitted / unicodedata.normalize("NFD", "Zoë"))
    twice = folder(course, "twice")
    shutil.copy(twice / NOTEBOOK, twice / "02_latent_dim (1).ipynb")
    with (twice / NOTEBOOK).open("a") as file:
        file.write("\n")
    mac = folder(course, "mac")
    (mac / f"._{NOTEBOOK}").write_bytes(b"\0\5\x16\7")
    (mac / "desktop.ini").write_text("[x]")
    renamed = folder(course, "renamed") / NOTEBOOK
    renamed.rename(renamed.with_suffix(".ipynb.txt"))
    (folder(course, "late") / "timestamp.txt").write_text("\ufeff2026-12-02 23:00:00 EST")
    (folder(course, "odd time") / "timestamp.txt").write_text("9999999999999 UTC")
    shutil.rmtree(folder(course, "empty"))
    (submitted / "a file").write_text("no folder")
    for name in ("copied-1", "copied-2"):
        folder(course, name, active_units=fixture("active_units/right_loops"))
    (course / "release" / ASSIGNMENT / f"._{NOTEBOOK}").write_bytes(b"\0\5\x16\7")


def windows(cell: NotebookNode) -> None:
    """Give a cell the line ends of Windows."""
    cell.source = cell.source.replace("\n", "\r\n")


def attach(notebook: NotebookNode, kind: str, data: str) -> None:
    """Paste a picture into the first written answer."""
    cell = next(c for c in notebook.cells if c.id.startswith("explain"))
    cell.source += "\n![picture](attachment:picture)"
    cell["attachments"] = {"picture": {kind: data}}


def said(capsys: pytest.CaptureFixture[str], course: Path, *arguments: str) -> str:
    """Run a command in this process, and return what it printed without the times it took."""
    assert cli.main([arguments[0], "--course", str(course), *arguments[1:]]) == 0
    return without_times(capsys.readouterr().out)


def without_times(text: str) -> str:
    return re.sub(r"took [^)]*\)", "", text)


def mark_by_hand(course: Path) -> None:
    """Give the honest students' written answers a mark, as formgrader does."""
    small_course.query(
        course,
        """UPDATE grade SET manual_score = 3, needs_manual_grade = 0 WHERE cell_id IN
        (SELECT id FROM base_cell WHERE name = 'explain_ddim') AND notebook_id IN
        (SELECT n.id FROM submitted_notebook n JOIN submitted_assignment a
        ON a.id = n.assignment_id WHERE a.student_id LIKE 'honest-%')""",
    )


def of_honest(course: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, list]:
    """Return what gradebook, exports, explanations and report say of the honest students."""
    marks = [row for row in small_course.gradebook(course) if row[0].startswith("honest")]
    found = {"gradebook": marks}
    roster = course / "roster.csv"
    names = [f"honest-{place:02d}" for place in range(HONEST)]
    roster.write_text("\n".join(["Student,ID,SIS Login ID", *(f"{n},1,{n}" for n in names)]))
    for kind in ("csv", "canvas", "moodle"):
        path, by = course / f"{kind}.csv", () if kind == "csv" else ("--roster", str(roster))
        said(capsys, course, "export", kind, "--output", str(path), *by)
        text = without_times(path.read_text())
        found[kind] = [row for row in csv.reader(io.StringIO(text)) if "honest" in "".join(row)]
    said(capsys, course, "report", "--output", str(course / "report.html"))
    section = (course / "report.html").read_text().partition("Every student")[2]
    found["report"] = re.findall(r"<tr>(?:(?!</tr>).)*honest-\d\d.*?</tr>", section, re.DOTALL)
    found["explain"] = [said(capsys, course, "explain", names[0])]
    said(capsys, course, "status")
    return found


def test_honest_students_have_what_they_would_have_without_strangers(tmp_path, capsys):
    alone = small_course.make(tmp_path / "alone", ("02_latent_dim", "03_ddpm_ddim"))
    honest(alone)
    beside = Path(shutil.copytree(alone, tmp_path / "beside"))
    strangers(beside)
    for course in (alone, beside):
        small_course.grade(course, "--workers", "2")
        mark_by_hand(course)
    expected, found = of_honest(alone, capsys), of_honest(beside, capsys)
    assert all(len(rows) >= HONEST for what, rows in expected.items() if what != "explain")
    for what, rows in expected.items():
        assert found[what] == rows, what
    shown = said(capsys, beside, "explain", "forges").splitlines()
    assert not any(line.startswith(("+", "    + x0_hat", "honest-")) for line in shown)
    marks = small_course.marks(beside)
    rights = ("compiles", "helped", "crlf", "pasted", "webp", "mac", "renamed", "late", "copied-1")
    assert {marks[name, "test_active_units"] for name in rights} == {3.0}
