"""Are the student notebooks the solutions without their answers, the same bytes on every build?"""

import re
from pathlib import Path

import build_notebooks
import nbformat
import notebook_guard as guard
import pytest
from build_notebooks import BuildError

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "solutions").glob("[0-9]*.py"))
MARKER_TYPOS = [
    ("### BEGIN SOLUTION", "## BEGIN SOLUTION"),
    ("### BEGIN SOLUTION", "### BEGIN SOLUTON"),
    ("### BEGIN SOLUTION", "### Begin Solution"),
    ("### BEGIN SOLUTION", "###BEGIN SOLUTION"),
    ("### BEGIN SOLUTION", "### BEGIN_SOLUTION"),
    ("### END SOLUTION", "### END SOLUTIONS"),
    ("### BEGIN HIDDEN TESTS", "### BEGIN HIDDEN TEST"),
    ("### BEGIN HIDDEN TESTS", "### BEGIN HIDEN TESTS"),
    ("### BEGIN HIDDEN TESTS", "### BEGIN HIDDEN"),
    ("### END HIDDEN TESTS", "# END HIDDEN TESTS"),
]
OPEN, LOCKED = '"locked": false, "solution": true', '"locked": true, "solution": false'
GRADED = '"grade": true, "locked": true'
OTHER_FAULTS = [
    ("    ### END SOLUTION\n", "", "no `### END SOLUTION`"),
    ("### END HIDDEN TESTS\n", "", "no `### END HIDDEN TESTS`"),
    ("    ### BEGIN SOLUTION\n", "", "`### END SOLUTION` is where"),
    ('"visible_double"', '"double"', "already has this grade_id"),
    ('"test_double"', '"test_duble"', "must be `visible_double` and `test_double`"),
    ('"points": 2', '"points": 4', "gives 4 points, README.md's table says 2 points"),
    (
        "### BEGIN HIDDEN TESTS\nassert double(21) == 42",
        "### END HIDDEN TESTS",
        "no `### BEGI",
    ),
    ('check("double"', 'check("treble"', 'end with the line `check("double", globals())`'),
    ('"double", globals())', '"double", globals());', "the hidden test must end with"),
    ('"double", globals())', '"double", globals())\nNone', "the hidden test must end with"),
    ('"points": 2', '"points": null', "test_double): `points` is None; it must be a number"),
    ('"points": 2', '"points": "2"', "test_double): `points` is '2'; it must be a number"),
    (OPEN, OPEN.replace("false", "true", 1), "(double): `locked` is True; it must be false"),
    (LOCKED, LOCKED.replace("true", "false"), "(visible_double): `locked` is False; it must be true"),
    (GRADED, GRADED.replace('d": true', 'd": null'), "(test_double): `locked` is None; it must be true"),
    ('assert double(2) == 4, "double(2) must be 4"', "    return doubled_value", "is hidden in"),
    ('assert double(2) == 4, "double(2) must be 4"', "assert double(21) == 42", "is hidden in"),
    ('assert double(2) == 4, "double(2) must be 4"', "x = [doubled_value, 1]", "is hidden in"),
    ("# # Doubling", "# # Doubling: `doubled_value = 2*x`, that is all", "is hidden in `double`"),
    ('{"alt": "a number"}', '{"alt": "doubled_value = 2 * x"}', "cell 6: `doubled_value = 2 * x`"),
]


def contents(folder: Path) -> dict[str, bytes]:
    """Every built file of a repository and its bytes."""
    places = ("course", "notebooks")
    files = (path for place in places for path in (folder / place).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def fails(root: Path, old: str, new: str) -> str:
    """What the build says when this is put in place of that."""
    path = root / "solutions" / "01_tiny.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BuildError) as caught:
        build_notebooks.build(root)
    assert not (root / "notebooks").exists()
    return str(caught.value)


def test_the_committed_notebooks_are_what_the_solutions_give():
    assert "notebooks match solutions/" in build_notebooks.build(ROOT, check=True)


def test_two_builds_give_the_same_bytes_and_the_release_is_what_is_committed(whole):
    build_notebooks.build(whole)
    first = contents(whole)
    assert "changed: none" in build_notebooks.build(whole)
    assert contents(whole) == first
    for name in NAMES:
        committed = (ROOT / "notebooks" / f"{name}.ipynb").read_bytes()
        assert first[f"course/release/project3/{name}.ipynb"] == committed
        assert first[f"notebooks/{name}.ipynb"] == committed


def test_a_build_leaves_the_instructors_files_alone(tiny):
    mine = ["gradebook.db", "nbgrader_local.py", "submitted/ann/project3/01_tiny.ipynb"]
    mine += ["source/project3/extra.ipynb", "autograded/x", "feedback/x"]
    for name in mine:
        path = tiny / "course" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    build_notebooks.build(tiny)
    build_notebooks.build(tiny)
    assert all((tiny / "course" / name).read_text() == "mine" for name in mine)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_valid_and_carries_nothing_of_the_tools(name):
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert f"solutions/{name}.py" in notebook.cells[0].source
    for number, cell in enumerate(notebook.cells):
        assert cell.id == guard.grading(cell).get("grade_id", f"cell-{number:03d}")
        known = {"nbgrader", "tags", "mystnb", "deletable", "editable", "jupyter"}
        assert set(cell.metadata) <= known
        folded = "hide-input" in cell.metadata.get("tags", [])
        assert cell.metadata.get("jupyter") == ({"source_hidden": True} if folded else None)
        assert not cell.get("outputs")


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_and_no_hidden_test_is_published(name):
    source = build_notebooks.read_source(ROOT / "solutions" / f"{name}.py")
    hidden = guard.secrets(source)
    assert hidden
    places = [ROOT / "notebooks", ROOT / "book" / "sections"]
    for path in (place / f"{name}.ipynb" for place in places):
        if path.exists():
            published = nbformat.read(path, as_version=4)
            assert guard.check_leaks(str(path), hidden, published) == []
            assert not re.search("autograder|HIDDEN TESTS|Rubric", path.read_text())


def test_the_answer_cell_keeps_its_signature_and_says_that_it_is_empty(tiny):
    build_notebooks.build(tiny)
    notebook = nbformat.read(tiny / "notebooks" / "01_tiny.ipynb", as_version=4)
    cells = {cell.id: cell.source for cell in notebook.cells}
    assert cells["double"] == (
        'def double(x: int) -> int:\n    """Twice x."""\n'
        '    # YOUR CODE HERE\n    raise NotImplementedError("fill in this cell")'
    )
    assert cells["test_double"] == "# hidden checks run here"
    assert cells["explain_double"] == "YOUR ANSWER HERE"


@pytest.mark.parametrize(("marker", "typo"), MARKER_TYPOS)
def test_a_marker_with_a_typo_stops_the_build(tiny, marker, typo):
    message = fails(tiny, marker, typo)
    assert f"`{typo}` looks like a marker with a typo" in message
    assert "solutions/01_tiny.py, cell " in message


@pytest.mark.parametrize(("old", "new", "sentence"), OTHER_FAULTS)
def test_other_faults_stop_the_build_in_words(tiny, old, new, sentence):
    message = fails(tiny, old, new)
    assert sentence in message
    assert "01_tiny" in message


@pytest.mark.parametrize("line", ["# the solution begins with a test", "# Hidden layers", "x = 1"])
def test_ordinary_lines_are_no_markers(line):
    assert not guard.is_marker_like(line)


def test_a_cell_that_the_table_lacks_stops_the_build(tiny):
    readme = tiny / "README.md"
    readme.write_text(readme.read_text().replace("| `01_tiny` | `explain_double` | 3 |\n", ""))
    with pytest.raises(BuildError, match=r"explain_double.*gives 3 points.*says no such cell"):
        build_notebooks.build(tiny)
    readme.write_text("no table")
    with pytest.raises(BuildError, match="no points table between"):
        build_notebooks.build(tiny)


def test_the_table_gives_each_row_once_and_adds_up_to_the_stated_total(tiny):
    readme = tiny / "README.md"
    text, row = readme.read_text(), "| `01_tiny` | `double` | 2 |\n"
    twice = text.replace(row, row + row.replace("2", "5"))
    faults = {
        twice: "double of 01_tiny twice, with 2 and with 5",
        text.replace("Together 14", "Together 15"): "says `Together 15 points`; .* 14 points",
        text.replace("Together", "In all"): "states no total; .* 14 points",
    }
    for fault, sentence in faults.items():
        readme.write_text(fault)
        with pytest.raises(BuildError, match=sentence):
            build_notebooks.build(tiny)


def test_answers_and_hidden_tests_are_found_on_a_page_through_markup(tiny):
    sources = build_notebooks.read_sources(tiny)
    pages = {
        "clean": "<p>double(2) must be 4, adding a number to itself</p><i>value = 2 * x</i>",
        "code": "<span>doubled_value</span> <b>=</b> 2 &#42; x",
        "words": "<p>Because adding a <em>number</em> to\nitself doubles it.</p>",
        "test": "<span>assert</span> <span>double</span>(<i>21</i>)\n &#61;= 42",
        "call": "check(&quot;double&quot;, globals())",
    }
    problems = guard.check_pages(sources.values(), pages)
    assert [problem.split(":")[0] for problem in problems] == ["code", "words", "test", "call"]
    given = tiny / "solutions" / "02_given.py"
    given.write_text('# %% [markdown]\n# End with `check("double", globals())`.\n')
    sources = build_notebooks.read_sources(tiny)
    problems = guard.check_pages(sources.values(), pages)
    assert [problem.split(":")[0] for problem in problems] == ["code", "words", "test"]


def test_check_says_which_notebook_is_stale_and_where(tiny):
    build_notebooks.build(tiny)
    path = tiny / "notebooks" / "01_tiny.ipynb"
    fresh = path.read_text()
    path.write_text(fresh.replace("Twice x", "Half of x"))
    with pytest.raises(BuildError, match=r"01_tiny.ipynb is stale:\n.*Half of x(.|\n)*make notebooks"):
        build_notebooks.build(tiny, check=True)
    path.rename(path.with_name("02_lost.ipynb"))
    with pytest.raises(BuildError, match=r"01_tiny.ipynb is missing.\n.*02_lost.ipynb has no source"):
        build_notebooks.build(tiny, check=True)
