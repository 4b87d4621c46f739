"""Does every solution notebook run from top to bottom in the smoke profile, and soon enough?"""

import resource
from pathlib import Path

import build_notebooks
import nbformat
import papermill
import pytest

SOLUTIONS = sorted((Path(__file__).parents[2] / "solutions").glob("[0-9]*.py"))
SECONDS = 60  # of CPU time, imports included: other work on the machine does not count


def cpu_seconds() -> float:
    """CPU time of the processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_notebook_runs_without_an_error(path, tmp_path):
    source, output = tmp_path / path.with_suffix(".ipynb").name, tmp_path / "ran.ipynb"
    nbformat.write(build_notebooks.read_source(path), source)
    before = cpu_seconds()
    papermill.execute_notebook(
        source, output, parameters={"profile": "smoke"}, progress_bar=False, cwd=tmp_path
    )
    assert cpu_seconds() - before < SECONDS
    ran = nbformat.read(output, as_version=4)
    outputs = [out for cell in ran.cells for out in cell.get("outputs", [])]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error"]
    for cell in ran.cells:
        role = cell.metadata.get("nbgrader", {})
        if role.get("grade") and cell.cell_type == "code":
            earned = [out.data["text/plain"] for out in cell.outputs if "data" in out]
            assert [float(points) for points in earned] == [role["points"]], cell.id
