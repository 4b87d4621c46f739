"""The students' commands, `mnistdiff doctor` and `mnistdiff check`: their text and exit codes."""

import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbformat
import pytest

from mnistdiff.cli import main
from mnistdiff.course import dependencies, doctor, notebooks, self_check
from mnistdiff.course.notebooks import EXERCISES, Cell, checksum
from mnistdiff.errors import MnistdiffError

ROOT = Path(__file__).parents[2]
RELEASED = sorted((ROOT / "notebooks").glob("*.ipynb"))
STUB = '# YOUR CODE HERE\n    raise NotImplementedError("fill in this cell")'


def cell(source: str, name: str = "", id: str = "", **role) -> dict:
    """Return a code cell; one with a name also has an nbgrader role and checksum."""
    found = {"cell_type": "code", "id": id or name or "cell-001", "source": source,
             "metadata": {}, "outputs": [], "execution_count": None}  # fmt: skip
    if name:
        solution = role.get("solution", False)
        base = {"grade": False, "solution": solution, "locked": not solution, "task": False}
        role = base | {"grade_id": name, "schema_version": 3, "cell_type": "code"} | role
        role["checksum"] = checksum(Cell("code", source, role))
        found["metadata"] = {"nbgrader": role}
    return found


def exercise(name: str, test: str) -> list[dict]:
    return [
        cell(f"def {name}(x):\n    {STUB}", name, solution=True),
        cell(test, f"visible_{name}"),
        cell("# hidden checks run here", f"test_{name}", grade=True, points=3),
    ]


@pytest.fixture
def book() -> dict:
    """Return section 02 without torch; a given cell that no answer needs would take an hour."""
    parameters = cell('profile = "quick"', id="cell-002")
    parameters["metadata"] = {"tags": ["parameters"]}
    cells = [
        parameters,
        cell("import os\nimport math", id="cell-003"),
        *exercise("kl_per_dimension", "assert kl_per_dimension(4) == 2, 'the root of 4 is 2'"),
        cell("import time\ntime.sleep(3600)", id="cell-004"),
        *exercise("active_units", "assert active_units(9) == kl_per_dimension(9), 'not equal'"),
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def save(book: dict, folder: Path) -> Path:
    path = folder / "02_latent_dim.ipynb"
    path.write_text(json.dumps(book))
    return path


def answer(book: dict, name: str, body: str) -> None:
    place = next(i for i, c in enumerate(book["cells"]) if c["id"] == name)
    book["cells"][place]["source"] = f"def {name}(x):\n    {body}"


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_an_untouched_notebook_is_not_written_yet(book, tmp_path, capsys):
    save(book, tmp_path)
    code, out, _ = run(capsys, "check", "02", "--folder", tmp_path)
    assert code == 1
    assert re.search(r"kl_per_dimension +not written yet", out)
    assert re.search(r"active_units +not written yet", out)
    assert "!" not in out


def test_right_answers_pass(book, tmp_path, capsys):
    answer(book, "kl_per_dimension", "return math.sqrt(x)")
    answer(book, "active_units", "return x ** 0.5")
    code, out, _ = run(capsys, "check", save(book, tmp_path))
    assert code == 0, out
    assert len(re.findall(r"  passes$", out, re.MULTILINE)) == 2
    assert "hidden checks" in out


def test_a_wrong_answer_gets_the_tests_message(book, tmp_path):
    answer(book, "kl_per_dimension", "return x")
    answer(book, "active_units", "return math.undefined")
    result = self_check.check(save(book, tmp_path))
    assert result["exercises"]["kl_per_dimension"] == "the root of 4 is 2"
    assert result["exercises"]["active_units"].startswith("AttributeError: module 'math'")
    assert not result["ok"]


def test_a_cell_that_is_not_python_is_told_by_its_own_line(book, tmp_path):
    answer(book, "active_units", "return 2 *")
    found = self_check.check(save(book, tmp_path))["exercises"]["active_units"]
    assert found == "its cell stops with SyntaxError: invalid syntax (line 2 of the cell)"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = = 2", "line 1 of the cell"),
        ("\n\n\nx = = 2", "line 4 of the cell"),
        ("%%time\nx = = 2", "in this cell"),
        ("def f():\n    return eval('1 +')\n\n\nf()", "<string>, line 1"),
    ],
)
def test_a_syntax_errors_line_is_that_of_its_cell(tmp_path, source, said):
    with self_check.Kernel(tmp_path) as kernel:
        assert kernel.run(source, 20) == ("SyntaxError", f"invalid syntax ({said})")


def test_a_cell_that_asks_for_input_does_not_wait_for_it(tmp_path):
    with self_check.Kernel(tmp_path) as kernel:
        assert kernel.run("input()", 20).error == "StdinNotImplementedError"


def test_an_answer_that_needs_an_unwritten_one_says_so(book, tmp_path):
    answer(book, "active_units", "return kl_per_dimension(x)")
    found = self_check.check(save(book, tmp_path))["exercises"]["active_units"]
    assert found == "it needs another exercise that is not written yet"


def test_a_cell_that_ends_the_kernel_costs_only_itself(book, tmp_path):
    answer(book, "kl_per_dimension", "os._exit(1)")
    answer(book, "active_units", "return 3.0")
    answer_only = "assert active_units(9) == 3"
    book["cells"][7]["source"] = answer_only
    result = self_check.check(save(book, tmp_path))
    assert "ended the kernel" in result["exercises"]["kl_per_dimension"]
    assert result["exercises"]["active_units"] == "passes"


def test_an_endless_cell_is_stopped(book, tmp_path, monkeypatch):
    monkeypatch.setattr(self_check, "SECONDS", 1.5)
    answer(book, "kl_per_dimension", "return 2")
    book["cells"][5]["source"] += "\nwhile True: pass"
    book["cells"][6]["source"] += "\nwhile True: pass"
    result = self_check.check(save(book, tmp_path))
    assert "longer than 1.5 s" in result["exercises"]["active_units"]
    assert result["exercises"]["kl_per_dimension"] == "passes"


def test_warnings_name_what_a_grader_could_not_read(book, tmp_path):
    cells = book["cells"]
    answer(book, "kl_per_dimension", "return math.sqrt(x)")
    cells.append(cells[2])
    cells[3]["source"] = "assert True"
    del cells[6]
    warnings = self_check.check(save(book, tmp_path))["warnings"]
    assert "the cell `kl_per_dimension` occurs 2 times" in warnings[0]
    assert "the cell `active_units` is missing: your answer cannot be found" in warnings[1]
    assert "the locked cell `visible_kl_per_dimension` was changed" in warnings[2]


def test_a_warning_names_a_retyped_cell(book, tmp_path):
    book["cells"][2]["cell_type"] = "markdown"
    warnings = notebooks.problems(path := save(book, tmp_path), notebooks.read_notebook(path))
    assert warnings == [
        "the cell `kl_per_dimension` is now a markdown cell: make it a code cell again."
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}', '{"cells": [{}]}', "\x80", "<<<<<<< a"])
def test_a_file_that_is_not_a_notebook_gives_a_sentence_and_exit_2(text, tmp_path, capsys):
    path = tmp_path / "03_ddpm_ddim.ipynb"
    path.write_text(text, encoding="latin-1")
    code, _, err = run(capsys, "check", path)
    assert code == 2
    assert "is not a notebook" in err
    assert "Traceback" not in err


def test_a_missing_notebook_gives_a_sentence_and_exit_2(tmp_path, capsys):
    code, _, err = run(capsys, "check", "03", "--folder", tmp_path)
    assert code == 2
    assert "No notebook of the course begins with '03'" in err


def test_without_jupyter_the_message_says_how_to_install_it(book, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    with pytest.raises(MnistdiffError, match="pip install jupyter"):
        self_check.check(save(book, tmp_path))


def test_a_real_notebook_runs_only_what_its_tests_need():
    path = next(path for path in RELEASED if path.stem == "03_ddpm_ddim")
    cells = notebooks.read_notebook(path)
    kept = self_check.places_to_run(cells)
    sources = "\n".join(cells[place].source for place in kept)
    assert "fit_unet(settings)" not in sources
    assert "def ddim_step" in sources
    assert not any(cells[place].name.startswith("test_") for place in kept)


def test_a_students_own_cell_always_runs(book):
    book["cells"].insert(2, cell("print('mine')", id="a1b2c3d4"))
    cells = [notebooks._cell(c) for c in book["cells"]]
    kept = self_check.places_to_run(cells)
    assert 2 in kept  # the student's cell
    assert not any("3600" in cells[place].source for place in kept)


def test_exercises_are_those_of_the_course():
    for path in sorted((ROOT / "solutions").glob("[0-9][0-9]_*.py")):
        found = re.findall(r'"grade_id": "(\w+)".*"solution": true', path.read_text())
        assert EXERCISES[path.stem] == tuple(found), path.name


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_released_notebooks_are_complete_and_checksums_are_nbgraders(path):
    from nbgrader.utils import compute_checksum

    cells = notebooks.read_notebook(path)
    assert notebooks.problems(path, cells) == []
    for ours, theirs in zip(cells, nbformat.read(path, as_version=4).cells, strict=True):
        if ours.name:
            assert checksum(ours) == compute_checksum(theirs) == ours.role["checksum"]
            assert ours.is_as_released


def test_needed_cells_are_the_ones_that_bind_what_is_read():
    code = {0: "import math", 2: "a = 1", 3: "b = []", 5: "b.append(a)", 7: "print(b)", 9: "c = 2"}
    assert dependencies.needed(code, {7}) == {2, 3, 5, 7}


def test_doctor_says_that_everything_is_ready(tmp_path, capsys):
    shutil.copy(RELEASED[0], tmp_path)
    code, out, _ = run(capsys, "doctor", tmp_path)
    assert code == 0, out
    assert "Everything is ready." in out
    assert re.search(r"ok +01_vae_beta.ipynb +complete", out)


def test_doctor_says_what_to_do_and_exits_with_1(book, tmp_path, capsys):
    del book["cells"][2]
    save(book, tmp_path)
    (tmp_path / "03_ddpm_ddim.ipynb").write_text("{")
    code, out, _ = run(capsys, "doctor", tmp_path, "--json")
    assert code == 1
    found = {f["name"]: f for f in json.loads(out)["findings"] if not f["ok"]}
    assert set(found) == {"02_latent_dim.ipynb", "03_ddpm_ddim.ipynb"}
    assert "`kl_per_dimension` is missing" in found["02_latent_dim.ipynb"]["text"]


def test_doctor_sees_missing_and_old_packages(monkeypatch):
    asked = ["torch>=2.4", "nothere>=1.0", "numpy>=999.1", "pytest>=8; extra == 'test'"]
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    found = doctor._packages()
    assert not found.ok
    assert found.text == "missing or too old: run `pip install 'nothere>=1.0' 'numpy>=999.1'`."


def test_doctor_sees_a_broken_mnist(tmp_path, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"\0" * 20)
    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path))
    found = doctor._data()
    assert not found.ok
    assert "mnistdiff data download" in found.text


def test_doctor_sees_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MNISTDIFF_CACHE", str(tmp_path / "file" / "cache"))
    assert not doctor._disk_space().ok


def test_check_and_doctor_load_neither_nbgrader_nor_autograder():
    code = (
        "import sys, mnistdiff.course.self_check, mnistdiff.course.doctor; "
        "print([m for m in ('nbgrader', 'autograder', 'nbformat', 'jupyter_client') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("end", ["\r\n", "\r", "  \n"], ids=["Windows", "old Mac", "blanks"])
def test_line_ends_of_another_system_change_no_cell(tmp_path, end):
    """The grader does not mind them, so the doctor must not either."""
    path = tmp_path / "03_ddpm_ddim.ipynb"
    book = json.loads((ROOT / "notebooks" / path.name).read_text())
    for each in book["cells"]:
        each["source"] = "".join(each["source"]).replace("\n", end)
    path.write_text(json.dumps(book))
    cells = notebooks.read_notebook(path)
    assert notebooks.problems(path, cells) == []
    assert all(c.is_as_released for c in cells if c.name and c.is_answer)


def test_answers_without_metadata_are_found_by_their_ids_as_in_grading(tmp_path):
    path = tmp_path / "03_ddpm_ddim.ipynb"
    book = json.loads((ROOT / "notebooks" / path.name).read_text())
    for each in book["cells"]:
        each["metadata"] = {}
    path.write_text(json.dumps(book))
    cells = notebooks.read_notebook(path)
    assert notebooks.problems(path, cells) == []
    answers = {c.name for c in cells if c.is_answer}
    assert answers == set(EXERCISES["03_ddpm_ddim"])
