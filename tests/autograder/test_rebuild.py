"""The matching of a submission to its source: nothing of either is lost, and points are ours."""

import random
from copy import deepcopy

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from submissions import ROOT, cell_of, filled, insert, released, solutions

from autograder.grading.cell_selection import cells_to_run
from autograder.submissions.cells import is_answer, role_of
from autograder.submissions.rebuild import rebuild
from mnistdiff.course import dependencies as names
from mnistdiff.course.notebooks import Cell, checksum

NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
PICTURE = {"image.png": {"image/png": "iVBORw0KGgo="}}


def scrambled(notebook: NotebookNode, seed: int) -> None:
    """Edit a notebook as a careless student would, with cells of their own called own_..."""
    dice = random.Random(seed)
    for number in range(dice.randrange(12)):
        cells = notebook.cells
        at = dice.randrange(len(cells))
        match dice.randrange(8):
            case 0:
                cells.insert(at, new_code_cell(f"own_{number} = 1"))
            case 1:
                cells.insert(at, cells.pop(dice.randrange(len(cells))))
            case 2:
                cells.insert(at, deepcopy(cells[at]))
            case 3 if not role_of(cells[at]):
                cells.pop(at)
            case 4:
                cells[at].metadata = NotebookNode()
            case 5:
                cells[at].id = cells[dice.randrange(len(cells))].id
            case 6:
                cells[at].source += "\n"
            case 7:
                cells[at].metadata["nbgrader"] = {"grade_id": cells[0].source[:9], "points": 99}


@pytest.mark.parametrize("seed", range(60))
def test_whatever_was_done_the_source_stays_whole(seed):
    source = released(NAMES[seed % len(NAMES)])
    notebook = deepcopy(source)
    scrambled(notebook, seed)
    before = deepcopy(notebook)
    built = rebuild(source, notebook).notebook.cells
    theirs = {c.id for c in source.cells}
    kept = [c for c in built if c.id in theirs]
    assert [c.id for c in kept] == [c.id for c in source.cells]
    assert [c.metadata for c in kept] == [c.metadata for c in source.cells]
    assert len({c.id for c in built}) == len(built)
    for cell, mine in zip(source.cells, kept, strict=True):
        assert is_answer(cell) or not role_of(cell) or mine.source == cell.source
        assert mine.cell_type == cell.cell_type
    mine = [c.source for c in before.cells if c.source.startswith("own_")]
    assert sorted(c.source for c in built if c.source.startswith("own_")) == sorted(mine)
    assert notebook == before  # a student's notebook is read, not changed


def test_an_untouched_notebook_is_itself_and_blank():
    for name in NAMES:
        source = released(name)
        built = rebuild(source, deepcopy(source))
        answers = {role_of(c)["grade_id"] for c in source.cells if is_answer(c)}
        assert built.notes == []
        assert built.blank == answers
        ours = [c.source for c in source.cells if c.metadata.get("tags") != ["parameters"]]
        theirs = [c.source for c in built.notebook.cells if "parameters" not in str(c.metadata)]
        assert ours == theirs


def test_own_cells_stay_beside_their_neighbours_when_another_cell_moves():
    notebook = filled()
    notebook.cells.insert(1, notebook.cells.pop())  # the last cell to the top
    insert(notebook, "ddim_sigma", "helper = 1")
    texts = [c.id for c in rebuild(released(), notebook).notebook.cells]
    assert texts.index("cell-026") < texts.index("own-4-0") < texts.index("ddim_sigma")


def test_the_newest_own_definition_is_the_one_that_counts():
    notebook = filled()
    notebook.cells.remove(cell_of(notebook, "ddim_step"))
    for number in (1, 2):
        insert(notebook, "visible_ddim_step", f"def ddim_step():\n    return {number}")
    built = rebuild(released(), notebook)
    texts = [c.source for c in built.notebook.cells]
    assert "# written in another cell" in texts
    assert "def ddim_step():\n    return 2" in texts
    assert "ddim_step" not in built.blank


def test_pictures_in_a_text_are_kept_and_nothing_else_that_is_pasted():
    notebook = filled(explain_ddim="![](attachment:image.png)")
    odd = {"x": {"text/html": "<svg>"}, "y": {"image/png": '"><script>'}, "z": 5}
    cell_of(notebook, "explain_ddim").attachments = PICTURE | odd
    notebook.cells.append(new_markdown_cell("mine"))
    notebook.cells[-1]["attachments"] = []
    built = rebuild(released(), notebook).notebook
    assert cell_of(built, "explain_ddim").attachments == PICTURE
    assert not [c for c in built.cells if c.source == "mine" and "attachments" in c]


def test_a_text_beside_a_blank_written_answer_may_be_it():
    for place, blank in (("visible_ddim_step", True), ("explain_ddim", False)):
        notebook = deepcopy(released())
        at = notebook.cells.index(cell_of(notebook, place))
        notebook.cells.insert(at, new_markdown_cell("Because the noise is kept."))
        assert ("explain_ddim" in rebuild(released(), notebook).blank) == blank


def test_an_answer_in_two_cells_is_not_blank_because_one_is():
    notebook = deepcopy(released())
    second = deepcopy(cell_of(notebook, "ddim_step"))
    second.source, second.id = "def ddim_step():\n    return 2", "second"
    notebook.cells.insert(notebook.cells.index(cell_of(notebook, "ddim_step")) + 1, second)
    assert "ddim_step" not in rebuild(released(), notebook).blank


def test_own_code_counts_as_the_students():
    notebook = filled()
    insert(notebook, "ddim_step", "helper = 1")
    built = rebuild(released(), notebook)
    (place,) = [i for i, c in enumerate(built.notebook.cells) if c.source == "helper = 1"]
    assert place in built.own


def test_an_earlier_release_is_no_tampering():
    """Its cells still fit the checksums that nbgrader gave them."""
    earlier = filled()
    cell, test = cell_of(earlier, "visible_ddim_step"), cell_of(earlier, "test_ddim_step")
    cell.source += "\n# worded otherwise"
    test.metadata.nbgrader.points = 5
    for each in (cell, test):
        as_cell = Cell(each.cell_type, each.source, each.metadata.nbgrader)
        each.metadata.nbgrader.checksum = checksum(as_cell)
    built = rebuild(released(), earlier)
    assert [note["kind"] for note in built.notes] == ["accident", "accident"]
    assert "another release" in built.notes[0]["text"]
    assert cell_of(built.notebook, "visible_ddim_step").source != cell.source
    cell.source += "\n# by the student"
    assert rebuild(released(), earlier).notes[0]["kind"] == "tampering"


def test_vector_pictures_and_new_formats_are_kept():
    """As Jupyter pastes them, and an SVG as other programs do: a person must see them."""
    given = {
        "a.svg": {"image/svg+xml": "PHN2Zy8+"},
        "b.svg": {"image/svg+xml": ' <svg a="\ud800"/>'},
        "c.webp": {"image/webp": "UklGRg=="},
    }
    notebook = filled(explain_ddim="![](attachment:a.svg)")
    cell_of(notebook, "explain_ddim").attachments = given
    kept = cell_of(rebuild(released(), notebook).notebook, "explain_ddim").attachments
    assert kept == given | {"b.svg": {"image/svg+xml": "IDxzdmcgYT0iPyIvPg=="}}


def test_many_copies_of_a_cell_take_no_time():
    notebook = filled()
    copies = [new_code_cell(cell_of(notebook, "cell-031").source) for _ in range(2000)]
    notebook.cells += [*(new_code_cell(f"x{i}") for i in range(2000)), *copies]
    assert len(rebuild(released(), notebook).notebook.cells) > 3000


def test_given_cells_that_no_answer_needs_are_left_out():
    cells = rebuild(released(), filled()).notebook.cells
    kept = {cells[i].id for i in cells_to_run(cells, set())}
    assert "cell-031" not in kept
    assert {"cell-002", "cell-004", "ddim_step", "test_ddim_step"} <= kept


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    return halved(2)",
        "%%time\nx = halved(2)",
        "x = !ls\nhalved(2)",
        "%time x = halved(2)",
        "x = %time halved(2)",
        "if x:\n    %timeit -n 3 -r 2 halved(2)",
        "%prun halved(2)",
        "get_ipython().user_ns['halved'](2)",
        "import __main__",
        "def f():\n    return globals()['halved'](2)",
        "eval('halved(2)')",
        "class A:\n    def f(self):\n        return [halved(x) for x in self.y]",
        "%timeit halved = len\nhalved(2)",
        "%%timeit\nhalved = len\nhalved(2)",
        "x" * 600_000,
    ],
)
def test_a_given_cell_that_an_answer_reads_is_run(source):
    notebook = filled(ddim_step=source)
    built = rebuild(released(), notebook)
    kept = {built.notebook.cells[i].id for i in cells_to_run(built.notebook.cells, built.own)}
    assert "cell-031" in kept


def test_what_a_call_binds_is_bound():
    sources = ["def f():\n    global X\n    X = 2", "f()", "Y = 1", "X + 1"]
    assert names.needed(dict(enumerate(sources)), {3}) == {0, 1, 2, 3}
    sources[0] = sources[0].replace("global X", "pass")
    assert names.needed(dict(enumerate(sources)), {3}) == {3}


@pytest.mark.parametrize(
    "source",
    [
        *("(" * 99_999, "-" * 99_999 + "1", "a" + ".b" * 99_999, "1" + "+1" * 99_999),
        *("a\0b", "\\", "%" * 5000, "lambda:" * 9999 + "1", "!\n" * 3000 + "if"),
        *(
            "x = '''" + "%\n" * 9999,
            "f" + "()" * 99_999,
            "if x:\n pass\n" + "elif x:\n pass\n" * 9999,
            "\n" * 99_999,
            " \n" * 99_999 + "%",
            'f"' + "{x}" * 99_999 + '"',
        ),
    ],
    ids=range(15),
)
def test_no_text_of_a_student_ends_or_holds_up_the_grader(source):
    assert names.names_of(source) is None or names.names_of(source).imports == set()


@pytest.mark.parametrize(
    "source", ["def f(:\n    g()", "x = 1\nx = = 1", "```python\ng()\n```", "“g”()"]
)
def test_a_cell_that_cannot_run_reads_nothing(source):
    found = names.names_of(source)
    assert found
    assert not found.reads | found.binds


@pytest.mark.parametrize(
    "source",
    [
        "g?",
        "?g",
        "x = !ls",
        "%run x.py",
        ">>> g()",
        "  g()\n  h()",
        ";g a",
        "time x = g()",
        "g a\n",
        "x = 1\n   ...: g()",
        "x =\x0c!ls",
        "#\r,g",
    ],
)
def test_what_only_ipython_runs_may_read_anything(source):
    assert names.names_of(source) is None


def test_every_solution_runs_without_the_figures():
    for name in NAMES:
        built = rebuild(released(name), filled(name, **solutions()))
        code = [c for c in built.notebook.cells if c.cell_type == "code"]
        assert len(cells_to_run(built.notebook.cells, built.own)) < len(code)
