"""Does plain nbgrader, with its kernels in the sandbox, give the marks that it gives without?"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from small import filled, fixture, notebooks

ROOT = Path(__file__).parents[2]

CANARY = "a-secret-of-the-grader"
NBGRADER = """
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
api = NbGraderAPI(CourseDirectory(root="."))
for done in (api.generate_assignment("ps1"), api.autograde("ps1", "ann")):
    assert done["success"], done
"""


LOOKS = """
import os, socket
seen = [p for p in {paths!r} if os.path.exists(p)]
try:
    socket.create_connection(("127.0.0.1", {port}), 2)
    seen.append("network")
except OSError:
    pass
print("seen:", seen, os.environ.get("DOCTOR_CANARY"), os.environ["MNISTDIFF_PROFILE"])
"""


def hidden(released: NotebookNode) -> NotebookNode:
    """The instructor's version: with nbgrader's marks and the hidden line."""
    source = filled(released, {})
    for cell in source.cells:
        if "nbgrader" in cell.metadata:
            name = cell.id.removeprefix("test_")
            line = f"from autograder import check\n\ncheck({name!r}, globals())"
            kind, text = ("SOLUTION", "") if name == cell.id else ("HIDDEN TESTS", line)
            cell.source = f"### BEGIN {kind}\n{text}\n### END {kind}"
    source.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return source


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bwrap is not installed")
def test_plain_nbgrader_in_the_sandbox_gives_the_same_marks(tmp_path):
    pytest.importorskip("nbgrader")
    from nbgrader.api import Gradebook

    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    source = tmp_path / "source" / "ps1" / "p.ipynb"
    source.parent.mkdir(parents=True)
    released = hidden(notebooks("kl_divergence", "ddim_sigma"))
    nbformat.write(released, source)
    half = fixture("ddim_sigma/wrong_eta_inside")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        paths = [str(tmp_path), "/etc/passwd", str(ROOT / "solutions"), "p.ipynb"]
        looks = LOOKS.format(paths=paths, port=listener.getsockname()[1])
        path = tmp_path / "submitted" / "ann" / "ps1" / "p.ipynb"
        path.parent.mkdir(parents=True)
        answers = {
            "kl_divergence": f"{fixture('kl_divergence/right_loops')}\n{looks}",
            "ddim_sigma": half,
        }
        nbformat.write(filled(released, answers), path)
        way = {"JUPYTER_DEFAULT_PROVISIONER_NAME": "mnistdiff-sandbox", "DOCTOR_CANARY": CANARY}
        way["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # alembic's
        command = [sys.executable, "-c", NBGRADER]
        subprocess.run(command, cwd=tmp_path, env=os.environ | way, check=True)
    graded = nbformat.read(tmp_path / "autograded" / "ann" / "ps1" / "p.ipynb", as_version=4)
    shown = {cell.id: "".join(o.get("text", "") for o in cell.outputs) for cell in graded.cells}
    assert "seen: [] None smoke" in shown["kl_divergence"], graded
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        grades = gradebook.find_submission("ps1", "ann").notebooks[0].grades
        assert {g.name: g.auto_score for g in grades} == {
            "test_kl_divergence": 4.0,
            "test_ddim_sigma": 3.0,
        }
