"""A process that was killed from outside, slow cells, too little time: nobody's zero."""

import json
import os
import signal
import sys
import types
from collections.abc import Iterator

import pytest
from submissions import Class, filled, insert, solutions

from autograder.grading import notebook_run
from autograder.sandbox import usage
from autograder.sandbox.process import ForkServer

STEP = solutions()["ddim_step"]
FULL = {"ddim_sigma": 4.0, "ddim_step": 8.0, "explain_ddim": None}


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as fork_server:
        yield fork_server


@pytest.fixture
def school(tmp_path) -> Class:
    return Class(tmp_path)


HELPER = "def root(value):\n    return value.sqrt()\n"
BY_HELPER = "from mine import root\nfrom more.inner import one\n" + STEP.replace(
    "abar_t.sqrt()", "root(abar_t) * one"
)


def test_python_files_beside_the_notebook_can_be_imported_and_shadow_nothing(fork_server, school):
    assert "root(" in BY_HELPER
    school.hand_in("ann", filled(ddim_step=BY_HELPER))
    folder = school.folder("ann")
    (folder / "more").mkdir()
    (folder / "more" / "inner.py").write_text("one = 1")
    (folder / "mine.py").write_text(HELPER)
    for name in ("torch", "mnistdiff", "inside", "random", "IPython", "numpy"):
        (folder / f"{name}.py").write_text("raise SystemExit(1)")
    school.grade(fork_server)
    assert school.points("ann") == FULL
    assert school.records["ann"]["verdict"]["notes"] == []


def test_without_a_sandbox_files_of_a_notebook_lie_in_a_folder_of_their_own(school):
    school.hand_in(
        "ann", filled(ddim_step=BY_HELPER.replace("from more.inner import", "one = 1 #"))
    )
    (school.folder("ann") / "mine.py").write_text(HELPER)
    with ForkServer(unsafe=True) as fork_server:
        school.grade(fork_server)
    assert school.points("ann") == FULL
    assert not os.path.exists("mine.py")


def test_python_files_that_cannot_be_taken_are_noted(fork_server, school):
    school.hand_in("ann", filled())
    (school.folder("ann") / "mine.py").symlink_to("/etc/passwd")
    school.grade(fork_server)
    (note,) = school.records["ann"]["verdict"]["notes"]
    assert "Python files were not used" in note["text"]


def test_points_that_the_release_changed_are_the_points_that_count(fork_server, school):
    path = school.course / "release" / "project3" / f"{school.name}.ipynb"
    release = json.loads(path.read_text())
    for cell in release["cells"]:
        if cell["id"] == "test_ddim_step":
            cell["metadata"]["nbgrader"]["points"] = 20
    path.write_text(json.dumps(release))
    school.hand_in("ann", filled())
    school.hand_in("bob", filled(ddim_step="def ddim_step(*given):\n    return given[0]"))
    school.grade(fork_server)
    assert school.points("ann")["ddim_step"] == 20
    (cell,) = [
        c for c in school.records["bob"]["verdict"]["cells"] if c["grade_id"] == "test_ddim_step"
    ]
    assert sum(check["points"] for check in cell["checks"]) == cell["max"] == 20
    assert cell["points"] == 0


def kill_students(fork_server: ForkServer) -> None:
    """What the kernel does when the machine is out of memory."""
    warm = usage.warm_parent_of(fork_server.process.pid)
    os.kill(usage.descendants_of(warm)[-1], signal.SIGKILL)


def test_a_process_that_was_killed_during_a_check_is_no_zero(fork_server, school, monkeypatch):
    check, killed = notebook_run.find("ddim_step"), []
    run = check.run

    def killing(self, student, seed):
        if not killed:
            killed.append(seed)
            kill_students(fork_server)
        return run(self, student, seed)

    monkeypatch.setattr(check, "run", killing)
    school.hand_in("ann", filled())
    school.grade(fork_server)
    assert killed
    assert school.points("ann") == FULL


def test_a_process_that_was_killed_during_a_cell_is_no_zero(fork_server, school, monkeypatch):
    run, killed = notebook_run.Run._run, []

    def killing(self: notebook_run.Run, cell, box) -> None:
        if cell.get("id") == "ddim_step" and not killed:
            killed.append(cell)
            kill_students(fork_server)
        run(self, cell, box)

    monkeypatch.setattr(notebook_run.Run, "_run", killing)
    school.hand_in("ann", filled())
    school.grade(fork_server)
    assert killed
    assert school.points("ann") == FULL


def test_code_that_always_ends_its_process_gets_nothing_and_spares_the_rest(fork_server, school):
    ending = STEP.replace("    x0_hat", "    import os\n    os._exit(0)\n    x0_hat", 1)
    assert ending != STEP
    school.hand_in("ann", filled(ddim_step=ending))
    school.hand_in("bob", filled(ddim_step="import os\nos._exit(0)"))
    school.grade(fork_server)
    for student in ("ann", "bob"):
        assert school.points(student) == FULL | {"ddim_step": 0.0}
        # Two for each cell that ends it; the visible test may be one of them.
        assert school.records[student]["verdict"]["restarts"] in {2, 4}


def test_slow_cells_of_ones_own_cost_nothing(fork_server, school, monkeypatch):
    monkeypatch.setattr(notebook_run, "OTHER_SECONDS", 6.0)
    monkeypatch.setattr(notebook_run, "CELL_SECONDS", 0.7)
    notebook = filled(ddim_step=STEP.replace("eta)", "eta * ONE)"))
    for _ in range(7):
        insert(notebook, "cell-026", "import time\ntime.sleep(25)")
    insert(notebook, "ddim_step", "ONE = 1.0")
    school.hand_in("ann", notebook)
    school.grade(fork_server)
    assert school.points("ann") == FULL


def test_an_answer_below_more_slow_cells_than_there_is_time_for_is_for_a_person(
    fork_server, school, monkeypatch
):
    monkeypatch.setattr(notebook_run, "OTHER_SECONDS", 2.0)
    monkeypatch.setattr(notebook_run, "CELL_SECONDS", 0.7)
    notebook = filled(ddim_step=STEP.replace("eta)", "eta * ONE)"))
    for _ in range(12):
        insert(notebook, "cell-026", "import time\ntime.sleep(25)")
    insert(notebook, "ddim_step", "import time\ntime.sleep(0.3)\nONE = 1.0")
    school.hand_in("ann", notebook)
    school.grade(fork_server)
    assert school.points("ann") == FULL | {"ddim_step": None}
    assert "more time than was left" in school.printed("ann")


def test_only_what_needs_a_slow_cell_is_for_a_person(fork_server, school, monkeypatch):
    """A cell that has had all of its time, and did not come to its end."""
    monkeypatch.setattr(notebook_run, "CELL_SECONDS", 0.7)
    for student in ("ann", "bob"):
        notebook = filled(
            ddim_sigma="def ddim_sigma(a, b, eta):\n    return a",
            ddim_step=STEP.replace("eta)", "eta * ONE)"),
        )
        source = "import time\nfor _ in range(99): time.sleep(0.1)\nONE = 1.0"
        insert(notebook, "cell-026", source if student == "ann" else source.replace("ONE", "TWO"))
        school.hand_in(student, notebook)
    school.grade(fork_server)
    assert school.points("ann") == FULL | {"ddim_sigma": 0.0, "ddim_step": None}
    assert school.points("bob") == FULL | {"ddim_sigma": 0.0, "ddim_step": 0.0}


def test_outputs_are_kept_when_the_notebook_starts_over(fork_server, school, monkeypatch):
    monkeypatch.setattr(notebook_run, "MAX_NOTEBOOK", 4000)
    notebook = filled(ddim_step="import os\nos._exit(0)")
    insert(notebook, "cell-026", "print('x' * 1500)")
    school.hand_in("ann", notebook)
    school.grade(fork_server)
    assert "x" * 1500 in school.printed("ann")


def test_what_there_was_no_time_for_is_for_a_person(fork_server, school, monkeypatch):
    monkeypatch.setattr(notebook_run, "ANSWER_SECONDS", 3.0)
    school.hand_in("ann", filled(ddim_step=f"import time\ntime.sleep(9)\n{STEP}"))
    school.grade(fork_server)
    assert school.points("ann") == FULL | {"ddim_step": None}
    assert "not reached" in school.printed("ann")


def test_grading_is_over_in_time_whatever_is_in_a_notebook():
    slowest = notebook_run.OTHER_SECONDS + notebook_run.ANSWER_SECONDS + notebook_run.CELL_SECONDS
    from autograder.grading.pools import JOB_SECONDS

    assert slowest + notebook_run.MAX_RESTARTS * 5 < JOB_SECONDS


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (STEP + ")", "SyntaxError in line"),
        (STEP.replace("    sigma =", "    sigma\xa0=", 1), "SyntaxError in line"),
        ("```python\n" + STEP, "SyntaxError in line 1"),
        ("@decorated\n" + STEP, "NameError: name 'decorated' is not defined"),
        ("from mnistdiff.vae import nonsense\n" + STEP, "ImportError: cannot import name"),
    ],
)
def test_the_hint_names_the_error_that_stopped_a_cell(fork_server, school, broken, error):
    school.hand_in("ann", filled(ddim_step=broken))
    school.grade(fork_server)
    assert school.points("ann") == FULL | {"ddim_step": 0.0}
    text = school.shown("ann")
    assert f"`ddim_step` is not defined, because its cell stops with {error}" in text


@pytest.mark.parametrize(
    "said",
    [
        "ValueError(\"ModuleNotFoundError: No module named 'qq'\")",
        "ModuleNotFoundError(\"No module named 'qq'\")",
        "ModuleNotFoundError(\"No module named 'cython_runtime'\")  # loaded, without a spec",
    ],
)
def test_a_forged_missing_package_is_a_wrong_answer(fork_server, school, said):
    sys.modules.setdefault("cython_runtime", types.ModuleType("cython_runtime"))
    school.hand_in("ann", filled(ddim_step=f"def ddim_step(*given):\n    raise {said}\n"))
    school.grade(fork_server)
    assert school.points("ann") == FULL | {"ddim_step": 0.0}


def test_many_blank_lines_do_not_slow_the_hint(fork_server, school):
    school.hand_in("ann", filled(ddim_step="\n" * 60_000 + "1 / 0\n"))
    school.grade(fork_server)
    assert school.points("ann") == FULL | {"ddim_step": 0.0}
    assert "`ddim_step` is not defined" in school.shown("ann")


@pytest.mark.parametrize(
    "answer",
    [
        "from no_such_package import rearrange\n" + STEP,
        STEP.replace("    x0_hat", "    import no_such_package\n\n    x0_hat", 1),
    ],
)
def test_a_package_that_is_not_installed_is_for_a_person(fork_server, school, answer):
    assert answer != STEP
    school.hand_in("ann", filled(ddim_step=answer))
    school.grade(fork_server)
    assert school.points("ann") == FULL | {"ddim_step": None}
    text = school.shown("ann")
    assert "`no_such_package`, which is not installed here" in text
