"""What honest students do to a notebook, in one grading run: every mark is the one they earned.

Each submission is one that stock nbgrader grades, or fails on only because of an accident that
leaves no doubt about what was meant.
"""

import json
import textwrap
from collections.abc import Callable
from copy import deepcopy

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from submissions import NAME, ROOT, Class, cell_of, filled, insert, released, solutions

from autograder.sandbox.process import ForkServer

FULL = {"ddim_sigma": 4.0, "ddim_step": 8.0, "explain_ddim": None}
SIGMA, STEP = solutions()["ddim_sigma"], solutions()["ddim_step"]
HELPER = "def root(value):\n    return value.sqrt()\n"
BY_HELPER = STEP.replace("abar_t.sqrt()", "root(abar_t)").replace(
    "abar_prev.sqrt()", "root(abar_prev)"
)
UNTYPED = "def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):\n" + STEP.split('"""\n')[-1]
Edit = Callable[[NotebookNode], None]


def drop(*names: str) -> Edit:
    """Delete cells."""

    def edit(notebook: NotebookNode) -> None:
        notebook.cells = [c for c in notebook.cells if c.id not in names]

    return edit


def move(name: str, before: str) -> Edit:
    """Put a cell somewhere else."""

    def edit(notebook: NotebookNode) -> None:
        cell = cell_of(notebook, name)
        notebook.cells.remove(cell)
        notebook.cells.insert(notebook.cells.index(cell_of(notebook, before)), cell)

    return edit


def add(before: str, source: str) -> Edit:
    """A cell of their own."""
    return lambda notebook: insert(notebook, before, textwrap.dedent(source))


def at_the_end(source: str) -> Edit:
    """A cell of their own, below all others."""
    return lambda notebook: notebook.cells.append(new_code_cell(source))


def change(name: str, old: str, new: str) -> Edit:
    """Edit a cell's text."""

    def edit(notebook: NotebookNode) -> None:
        cell = cell_of(notebook, name)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return edit


def put(name: str, source: str) -> Edit:
    """Replace a cell's text."""
    return lambda notebook: cell_of(notebook, name).update(source=source)


def both(*edits: Edit) -> Edit:
    """One after the other."""

    def edit(notebook: NotebookNode) -> None:
        for each in edits:
            each(notebook)

    return edit


def split(name: str, *parts: str, named: bool = True) -> Edit:
    """A cell in parts, the later ones with its name, as Jupyter splits, or without."""

    def edit(notebook: NotebookNode) -> None:
        cell = cell_of(notebook, name)
        place = notebook.cells.index(cell)
        cell.source = parts[0]
        others = [deepcopy(cell) if named else new_code_cell("") for _ in parts[1:]]
        for number, (other, part) in enumerate(zip(others, parts[1:], strict=True)):
            other.source, other.id = part, f"part-{number}"
        notebook.cells[place + 1 : place + 1] = others

    return edit


def merge(first: str, *others: str, keep: str) -> Edit:
    """Merge neighbours into one cell that has the name of one of them."""

    def edit(notebook: NotebookNode) -> None:
        kept = cell_of(notebook, keep)
        kept.source = "\n\n".join(cell_of(notebook, n).source for n in (first, *others))
        notebook.cells = [c for c in notebook.cells if c is kept or c.id not in (first, *others)]

    return edit


def retype(name: str, kind: str) -> Edit:
    return lambda notebook: cell_of(notebook, name).update(cell_type=kind)


def old_format(notebook: NotebookNode) -> None:
    """nbformat 4.4 has no ids, and classic Jupyter writes lists of lines."""
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]
        cell.source = cell.source.splitlines(keepends=True)


def stripped(notebook: NotebookNode) -> None:
    """Another tool has thrown away all metadata and ids."""
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = NotebookNode(), f"x{number}"


def windows(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.source = cell.source.replace("\n", "  \r\n") + "\r\n  "


def executed(notebook: NotebookNode) -> None:
    """Outputs and counts kept, as from a run."""
    png = new_output("display_data", data={"image/png": "iVBORw0KGgo=", "text/html": "<b>x</b>"})
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            said = new_output("stream", name="stderr", text="Warning: x\n" * 50)
            cell.outputs, cell.execution_count = [said, deepcopy(png)], number


def colab(notebook: NotebookNode) -> None:
    notebook.metadata = {"colab": {"provenance": []}, "accelerator": "GPU", "kernelspec": {}}
    for number, cell in enumerate(notebook.cells):
        cell.metadata["id"] = f"aB{number}"
        cell.metadata["colab"] = {"base_uri": "https://localhost:8080/"}
        cell.metadata["outputId"] = "x"
        del cell["id"]
    notebook.nbformat_minor = 0


def copied(name: str, source: str | None = None) -> Edit:
    """The cell twice, name and all; the second with this text."""

    def edit(notebook: NotebookNode) -> None:
        cell = cell_of(notebook, name)
        again = deepcopy(cell)
        again.source, again.id = cell.source if source is None else source, "copy"
        notebook.cells.insert(notebook.cells.index(cell) + 1, again)

    return edit


STUB = cell_of(released(), "ddim_step").source
NOISE = """
import logging, sys, warnings
from tqdm import tqdm
warnings.warn("careful")
logging.getLogger().error("odd")
for _ in tqdm(range(3)):
    print("step", file=sys.stderr)
print("x" * 1000)
"""
NOISY = STEP.replace("    sigma =", textwrap.indent(NOISE, "    ") + "    sigma =")
VARIANTS: dict[str, Edit] = {
    "plain": lambda notebook: None,
    "own-cells": both(add("cell-000", "a = 1"), add("ddim_step", "b = 2"), add("cell-064", "c")),
    "helper-above": both(add("ddim_step", HELPER), put("ddim_step", BY_HELPER)),
    "helper-at-the-top": both(add("cell-000", HELPER), put("ddim_step", BY_HELPER)),
    "helper-in-answer": put("ddim_step", HELPER + "\n\n" + BY_HELPER),
    "helper-in-parameters": both(
        put("cell-002", 'profile = "quick"\n\n' + HELPER), put("ddim_step", BY_HELPER)
    ),
    "helper-in-imports": both(
        change("cell-004", "import torch\n", "import torch\n\n" + HELPER),
        put("ddim_step", BY_HELPER),
    ),
    "split-by-name": both(split("ddim_step", HELPER, BY_HELPER)),
    "split-without-name": split("ddim_step", HELPER, BY_HELPER, named=False),
    "split-then-own-tests": split("ddim_step", STEP, "print(ddim_step)", "1 / 0"),
    "split-imports": split(
        "cell-004", "import torch\n", "from torch import Tensor\n" * 2, named=False
    ),
    "copied-answer": copied("ddim_step"),
    "copied-stub-after": copied("ddim_step", STUB),
    "stub-first-then-answer": both(put("ddim_step", STUB), copied("ddim_step", STEP)),
    "stub-and-own-answer": both(put("ddim_step", STUB), add("visible_ddim_step", STEP)),
    "copied-tests": both(copied("test_ddim_step"), copied("visible_ddim_step")),
    "nbformat-4.4": old_format,
    "metadata-lost": stripped,
    "import-in-own-cell": both(
        add("ddim_step", "import math as m"),
        put("ddim_step", STEP.replace("    sigma =", "    assert m.pi > 3\n    sigma =")),
    ),
    "deleted-tests": drop("test_ddim_step", "test_ddim_sigma", "visible_ddim_step"),
    "deleted-given": drop("cell-031", "cell-030", "cell-000", "cell-064"),
    "deleted-imports-own-instead": both(
        drop("cell-004"),
        add("cell-026", "import torch\nfrom torch import Tensor, nn"),
    ),
    "edited-given": change("cell-031", "SCALE = 2.0", "SCALE = 2.0  # I think"),
    "uses-given": put("ddim_step", STEP.replace("sigma * noise", "sigma * noise * halved(SCALE)")),
    "uses-given-by-globals": put(
        "ddim_step", STEP.replace("sigma * noise", "sigma * noise * globals()['halved'](2)")
    ),
    "uses-given-under-magic": put(
        "ddim_step",
        "x = !ls\n" + STEP.replace("sigma * noise", "sigma * noise * halved(SCALE)"),
    ),
    "markdown-answer": retype("ddim_step", "markdown"),
    "raw-answer": retype("ddim_step", "raw"),
    "code-for-text": retype("explain_ddim", "code"),
    "noise": put("ddim_step", NOISE + NOISY),
    "float64": put("ddim_step", STEP.replace("eps)", "eps.double())")),
    "default-float64": add("cell-026", "torch.set_default_dtype(torch.float64)"),
    "no-grad": add("cell-026", "torch.set_grad_enabled(False)"),
    "deterministic": add("cell-026", "torch.use_deterministic_algorithms(True)"),
    "device": add("cell-026", 'torch.set_default_device("cpu")'),
    "seeded": add("cell-026", "torch.manual_seed(0)"),
    "untyped": put("ddim_step", UNTYPED),
    "moved-answers": move("ddim_step", "cell-026"),
    "moved-down": move("ddim_sigma", "cell-036"),
    "moved-imports": both(move("cell-004", "cell-064"), add("cell-064", HELPER)),
    "moved-test": move("test_ddim_step", "ddim_step"),
    "merged-above": merge("cell-031", "ddim_step", keep="cell-031"),
    "merged-with-test": merge("ddim_step", "visible_ddim_step", keep="visible_ddim_step"),
    "merged-answer-kept": merge("ddim_step", "visible_ddim_step", keep="ddim_step"),
    "merged-all": merge("ddim_sigma", "visible_ddim_sigma", "ddim_step", keep="ddim_sigma"),
    "answer-deleted-own-instead": both(drop("ddim_step"), add("visible_ddim_step", STEP)),
    "answer-deleted-own-drafts": both(
        drop("ddim_step"),
        add("cell-032", UNTYPED.split("\n")[0] + "\n    return 0"),
        add("visible_ddim_step", STEP),
    ),
    "answer-deleted-own-at-the-end": both(drop("ddim_step"), at_the_end(STEP)),
    "stub-kept-own-at-the-end": both(put("ddim_step", STUB), at_the_end(STEP)),
    "answer-retyped-and-a-later-variant": both(
        drop("ddim_step"),
        add("visible_ddim_step", STEP),
        at_the_end("def ddim_step(*given):\n    return given[0]\n"),
    ),
    "stub-kept-own-below-and-an-old-try-at-the-end": both(
        put("ddim_step", STUB),
        add("visible_ddim_step", STEP),
        at_the_end("def ddim_step(*given):\n    return given[0]\n"),
    ),
    "stub-kept-own-at-the-end-and-one-in-quotes": both(
        put("ddim_step", STUB),
        at_the_end(STEP),
        at_the_end("'''\ndef ddim_step(*given):\n    return given[0]\n'''"),
    ),
    "stub-kept-own-above": both(put("ddim_step", STUB), add("cell-032", UNTYPED)),
    "stub-kept-answer-in-a-test": both(
        put("ddim_step", STUB), put("visible_ddim_step", STEP + "\n\nprint(1)")
    ),
    "stubs-kept-one-own-for-both": both(
        put("ddim_sigma", cell_of(released(), "ddim_sigma").source),
        put("ddim_step", STUB),
        at_the_end(f"{SIGMA}\n\n\n{STEP}"),
    ),
    "answer-deleted-own-at-top": both(drop("ddim_step"), add("cell-000", UNTYPED)),
    "answer-deleted-own-by-another-way": both(
        drop("ddim_sigma", "ddim_step"),
        add("visible_ddim_sigma", f"if True:\n{textwrap.indent(SIGMA, '    ')}"),
        add("visible_ddim_step", f"{STEP.replace('def ddim_', 'def my_')}\nddim_step = my_step"),
    ),
    "metadata-lost-lambda": both(
        put("ddim_step", f"{STEP.replace('def ddim_', 'def my_')}\nddim_step = my_step"), stripped
    ),
    "outputs": executed,
    "white-space": lambda nb: [c.update(source=c.source + "   \n\n") for c in nb.cells],
    "windows": windows,
    "colab": colab,
    "time-magic": put("ddim_step", "%%time\n" + STEP),
    "capture-magic": put("ddim_step", "%%capture out\n" + STEP),
    "pip-magic": both(add("cell-026", "!pip install nothing\n%pip list"), add("cell-026", "%who")),
    "magics-in-answer": put("ddim_step", "%matplotlib inline\n!true\n" + STEP + "\nddim_step?"),
    "time-line": put("ddim_step", f"%time X = halved(2.0)\nassert X == 1\n{STEP}"),
    "time-block": put("ddim_step", f"if True:\n    %time X = halved(2.0)\nassert X == 1\n{STEP}"),
    "time-value": put("ddim_step", f"X = %time halved(2.0)\nassert X == 1\n{STEP}"),
    "timeit": put("ddim_step", f"X = %timeit -n 1 -r 1 -o halved(2.0)\nassert X.loops\n{STEP}"),
    "user-ns": put("ddim_step", f"assert get_ipython().user_ns['halved'](2.0) == 1\n{STEP}"),
    "main-module": put("ddim_step", f"import __main__\nassert __main__.halved(2) == 1\n{STEP}"),
    "own-module": both(
        add("cell-026", "%%writefile mine.py\n" + HELPER),
        put("ddim_step", f"from mine import root\n{BY_HELPER}"),
    ),
    "slow": add("ddim_step", "import time; time.sleep(3)"),
    "failing-own-cells": both(
        add("cell-026", "1 / 0"), add("ddim_step", "def f(:"), add("cell-064", "x.y")
    ),
    "future": put("ddim_step", "from __future__ import annotations\n" + STEP),
    "async": add("cell-026", "import asyncio\nawait asyncio.sleep(0)"),
    "display": add("cell-026", "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"),
    "seeds-assigned": add(
        "cell-026",
        "import random\nimport numpy\nrandom.seed = numpy.random.seed = torch.manual_seed = 0",
    ),
    "threads": add("cell-026", "torch.set_num_threads(2)"),
    "input": add("cell-026", 'name = input("who? ")'),
    "streams": both(
        add(
            "cell-026",
            """
            import faulthandler, subprocess, sys
            faulthandler.enable()
            subprocess.run(["true"], stdout=sys.stdout, stderr=sys.stderr)
            ONE = float(sys.stdout.encoding.lower() == "utf-8")
            """,
        ),
        put("ddim_step", STEP.replace("eta)", "eta * ONE)")),
    ),
    "own-profile": add("cell-026", 'profile = "report"'),
    "decorated": put(
        "ddim_step", "import functools\n\n\n@functools.lru_cache(maxsize=None)\n" + STEP
    ),
    "compiled": put("ddim_step", "@torch.compile\n" + STEP),
    "compiled-by-call": put("ddim_step", STEP + "\n\n\nddim_step = torch.compile(ddim_step)\n"),
    "lambda": put("ddim_sigma", SIGMA + "\n\n\nsigma_of_mine = lambda *a: ddim_sigma(*a)\n"),
    "unicode": put("ddim_step", STEP.replace("x0_hat", "x̂0_ψ")),
    "tabs": put("ddim_step", STEP.replace("    ", "\t")),
    "main-guard": put("ddim_step", STEP + '\n\nif __name__ == "__main__":\n    print(ddim_step)'),
}


def _fixtures() -> dict[str, tuple[str, str, float]]:
    """Known answers of the two cells: the cell, the text, the points."""
    found = {}
    for name in ("ddim_sigma", "ddim_step"):
        for path in sorted((ROOT / "tests" / "answers" / name).glob("*.py"))[::4]:
            head, _, text = path.read_text().partition("\n")
            points = float(head.removeprefix("# points:").partition("|")[0])
            found[f"{name}-{path.stem}"] = (name, text, points)
    return found


FIXTURES = _fixtures()


@pytest.fixture(scope="module")
def school(tmp_path_factory) -> Class:
    """Every variant, graded in one run by one worker."""
    school = Class(tmp_path_factory.mktemp("honest"))
    for name, edit in VARIANTS.items():
        notebook = filled()
        edit(notebook)
        school.hand_in(name, notebook)
    for name, (cell, text, _) in FIXTURES.items():
        school.hand_in(name, filled(**{cell: text}))
    for name in (f"{NAME} (1)", f"Copy of {NAME}", f"{NAME}-final", NAME.upper()):
        text = "\ufeff" + json.dumps(filled())  # some editors begin a file so
        (school.folder(name) / f"{name}.ipynb").write_text(text, encoding="utf-8")
    with ForkServer() as fork_server:
        school.grade(fork_server)
    return school


@pytest.mark.parametrize("name", VARIANTS)
def test_no_mark_is_lost(school, name):
    record = school.records[name]
    assert record["state"] == "graded", record.get("reason")
    assert school.points(name) == FULL, (record["verdict"], school.printed(name)[-2000:])
    assert not [n for n in record["verdict"]["notes"] if n["kind"] == "tampering"] or "test" in name


@pytest.mark.parametrize("name", FIXTURES)
def test_a_known_answer_gets_the_points_that_stock_nbgrader_gives(school, name):
    cell, _, points = FIXTURES[name]
    assert school.points(name)[cell] == points, school.records[name]["verdict"]


@pytest.mark.parametrize("name", [f"{NAME} (1)", f"Copy of {NAME}", f"{NAME}-final", NAME.upper()])
def test_a_renamed_file_is_found(school, name):
    assert school.points(name) == FULL


def test_a_split_text_is_shown_whole(tmp_path):
    from autograder.submissions.rebuild import rebuild

    notebook = filled(explain_ddim="first part")
    place = notebook.cells.index(cell_of(notebook, "explain_ddim"))
    notebook.cells.insert(place + 1, new_markdown_cell("second part"))
    built = rebuild(released(), notebook)
    texts = [c.source for c in built.notebook.cells]
    assert texts.index("second part") == texts.index("first part") + 1
    assert "explain_ddim" not in built.blank


ESSAY = "Eta decides how much chance there is in a step. " * 30
BLANK = put("explain_ddim", "YOUR ANSWER HERE")
QUESTION = change("cell-065", "## Exercise", ESSAY + "\n\n## Exercise")
TEXTS: dict[str, tuple[Edit, bool]] = {  # and whether a person must look
    "blank": (BLANK, False),
    "gone": (drop("explain_ddim"), False),
    "gone-own-code": (both(drop("explain_ddim"), add("cell-067", "x = 1")), False),
    "own-code-beside": (both(BLANK, add("cell-067", "x = 1"), add("cell-067", "%pip list")), False),
    "a-name-at-the-top": (
        both(BLANK, lambda notebook: notebook.cells.insert(0, new_markdown_cell("Ann"))),
        False,
    ),
    "beside": (both(BLANK, lambda notebook: _own_text(notebook, "explain_ddim")), True),
    "beside-and-cells-before-it-deleted": (
        both(
            BLANK,
            lambda notebook: _own_text(notebook, "explain_ddim"),
            drop("cell-063", "cell-064", "cell-065"),
        ),
        True,
    ),
    "prose-in-code": (both(BLANK, add("cell-067", ESSAY)), True),
    "comment-in-code": (both(BLANK, add("cell-067", f"# {ESSAY}")), True),
    "in-the-question": (both(BLANK, QUESTION), True),
    "in-the-text-below": (
        both(BLANK, change("cell-067", "## Where", ESSAY + "\n\n## Where")),
        True,
    ),
    "in-the-question-and-metadata-lost": (both(BLANK, QUESTION, stripped), True),
    "merged-with-the-question": (both(drop("explain_ddim"), QUESTION), True),
    "merged-and-metadata-lost": (both(drop("explain_ddim"), QUESTION, stripped), True),
    "gone-own-elsewhere": (
        both(drop("explain_ddim"), lambda notebook: _own_text(notebook, "cell-031")),
        True,
    ),
}


def _own_text(notebook: NotebookNode, before: str) -> None:
    place = notebook.cells.index(cell_of(notebook, before))
    notebook.cells.insert(place, new_markdown_cell(ESSAY))


@pytest.mark.parametrize("name", TEXTS)
def test_a_blank_answer_is_for_a_person_where_a_text_may_be_it(name):
    from autograder.submissions.rebuild import rebuild

    (edit, person), notebook = TEXTS[name], filled("03_ddpm_ddim")
    edit(notebook)
    built = rebuild(released("03_ddpm_ddim"), notebook)
    assert ("explain_ddim" not in built.blank) == person
    assert not person or any(ESSAY.strip() in cell.source for cell in built.notebook.cells)


def test_the_checks_and_the_judge_start_alike_for_everyone(school):
    restarts = {name: record["verdict"]["restarts"] for name, record in school.records.items()}
    assert set(restarts.values()) == {0}, restarts
