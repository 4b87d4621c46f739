"""Do the book's sections keep what a reader wants and nothing of what graders want?"""

import json
from pathlib import Path

import build_book
import build_notebooks
import nbformat
import pytest
from build_notebooks import BuildError

ROOT = Path(__file__).parents[2]
FULL_SCALE = sorted((ROOT / "book" / "full_scale").glob("*.md"))


@pytest.fixture
def section(tiny):
    """Build the tiny notebook's section; gives a function that builds it again and reads it."""
    build_notebooks.build(tiny)

    def build(**options) -> nbformat.NotebookNode:
        build_book.build(tiny, "smoke", **options)
        return nbformat.read(tiny / "book" / "sections" / "01_tiny.ipynb", as_version=4)

    return build


def test_a_section_keeps_outputs_and_loses_answers_tests_points_and_noise(section, capfd):
    notebook = section()
    nbformat.validate(notebook)
    text = json.dumps(notebook)
    for secret in ("doubled_value", "adding a number", "42", "points", "papermill", "noise noise"):
        assert secret not in text, secret
    cells = {cell.id: cell for cell in notebook.cells}
    assert "NotImplementedError" in cells["double"].source
    assert "test_double" not in cells
    assert "visible_double" in cells
    folded = cells["visible_double"].metadata
    assert folded["mystnb"]["code_prompt_show"] == "What the tests check"
    assert "hide-input" in folded["tags"]
    assert cells["double-answer"].source == build_book.WITH_ANSWER
    picture = next(cell for cell in notebook.cells if "image" in cell.metadata.get("mystnb", {}))
    assert picture.metadata == {"mystnb": {"image": {"alt": "a number"}}, "tags": ["hide-input"]}
    assert [output.output_type for output in picture.outputs] == ["execute_result"]
    assert picture.outputs[0].data["text/plain"] == "15"
    assert cells["cell-001"].source == 'profile = "smoke"'
    assert section() == notebook  # from the cache
    assert "01_tiny: unchanged since it last ran" in capfd.readouterr().out


def test_the_instructors_copy_shows_the_answers(section):
    text = json.dumps(section(with_answers=True))
    assert "doubled_value" in text
    assert "adding a number" in text
    assert "BEGIN SOLUTION" not in text
    assert "double(21)" not in text


def test_a_cell_that_fails_is_named_in_one_line(section, tiny):
    path = tiny / "solutions" / "01_tiny.py"
    path.write_text(path.read_text().replace("2 * x", "1 / 0"))
    with pytest.raises(BuildError, match=r"`assert double.*ZeroDivisionError") as caught:
        section()
    assert str(caught.value).startswith("solutions/01_tiny.py")
    assert "\n" not in str(caught.value)


def test_an_answer_in_an_output_stops_the_build(section, tiny):
    path = tiny / "solutions" / "01_tiny.py"
    given = 'print("    doubled_" + "value = 2*x")\nprint("noise "'
    path.write_text(path.read_text().replace('print("noise "', given))
    build_notebooks.build(tiny)
    with pytest.raises(BuildError, match=r"sections/01_tiny.ipynb, cell [56]: .* is hidden in `double`"):
        section()


def test_a_page_shows_the_full_scale_before_its_heading_and_the_notebook_does_not(section, tiny):
    folder = tiny / "book" / "full_scale"
    folder.mkdir(parents=True)
    (folder / "01_tiny.md").write_text("+++ # Doubling\n\nMeasured: {result}`a:b:.2f`.\n")
    first = section().cells[0]  # a block of the title comes below it
    assert first.source.startswith("# Doubling\n\nMeasured: {result}`a:b:.2f`.")
    assert "Measured" not in (tiny / "notebooks" / "01_tiny.ipynb").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("+++ ## Halving\n\nMeasured.\n", "0 cells have the heading '## Halving', not one"),
        ("Measured.\n", r"01_tiny.md must begin with a line '\+\+\+ ## Heading'"),
    ],
)
def test_a_full_scale_page_without_its_place_stops_the_build(section, tiny, text, message):
    (tiny / "book" / "full_scale").mkdir(parents=True)
    (tiny / "book" / "full_scale" / "01_tiny.md").write_text(text)
    with pytest.raises(BuildError, match=message):
        section()


@pytest.mark.parametrize("path", FULL_SCALE, ids=lambda path: path.stem)
def test_every_full_scale_block_has_its_place(path):
    notebook = nbformat.read(ROOT / "notebooks" / f"{path.stem}.ipynb", as_version=4)
    build_book.add_full_scale(notebook, path)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert text.count("at full scale\n") >= path.read_text().count("at full scale\n")
