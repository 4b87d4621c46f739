"""Does what students press, `nbgrader validate` and its button, tell the truth?"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import build_notebooks
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NAME = "07_comfyui"  # it trains nothing


def validate(folder: Path, notebook: str) -> str:
    """What the stock command says in this folder."""
    command = [sys.executable, "-m", "nbgrader", "validate", notebook]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder with the two configurations and the released notebook, as in a clone."""
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    (tmp_path / "notebooks").mkdir()
    for name in ("nbgrader_config.py", f"{NAME}.ipynb"):
        shutil.copy(ROOT / "notebooks" / name, tmp_path / "notebooks")
    shorten(tmp_path / "notebooks" / f"{NAME}.ipynb")
    return tmp_path


def shorten(path: Path) -> None:
    """Keep the cells up to the first exercise: the later ones only take time."""
    notebook = nbformat.read(path, as_version=4)
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
    notebook.cells = notebook.cells[: ids.index("test_edit_sampler") + 1]
    nbformat.write(notebook, path)


def fill(clone: Path, **answers: str) -> None:
    """Write the solutions into the notebook, or these answers in their place."""
    source = build_notebooks.read_sources(ROOT)[NAME]
    solved = {cell.id: cell.source for cell in source.cells} | answers
    path = clone / "notebooks" / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = solved[cell.id]
    nbformat.write(notebook, path)


def test_a_blank_notebook_fails_from_the_root_of_a_clone(clone):
    output = validate(clone, f"notebooks/{NAME}.ipynb")
    assert "VALIDATION FAILED" in output
    assert "fill in this cell" in output


def test_a_solved_notebook_passes_from_its_own_folder(clone):
    fill(clone)
    assert "Success!" in validate(clone / "notebooks", f"{NAME}.ipynb")


def test_a_wrong_answer_fails_with_the_sentence_of_its_visible_test(clone):
    fill(clone, edit_sampler="def edit_sampler(graph, *wanted):\n    return graph")
    output = validate(clone / "notebooks", f"{NAME}.ipynb")
    assert "VALIDATION FAILED" in output
    assert "nothing was edited" in output


@pytest.mark.parametrize("folder", [".", "notebooks"])
def test_the_button_of_jupyter_reads_the_same_configuration(clone, folder, monkeypatch):
    from nbgrader.server_extensions.validate_assignment.handlers import ValidateAssignmentHandler

    monkeypatch.chdir(clone / folder)
    # It reads the folder in which Jupyter was started, and nothing of the handler itself.
    config = ValidateAssignmentHandler.load_config(None)  # pyright: ignore[reportArgumentType]
    assert config.Validator.validate_all is True
