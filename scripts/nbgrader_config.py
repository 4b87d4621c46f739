"""Settings of the nbgrader course. Rebuilt by `make course`: put yours in nbgrader_local.py."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent
c = get_config()

c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.course_id = "mnistdiff"
c.CourseDirectory.db_url = f"sqlite:///{ROOT / 'gradebook.db'}"

c.ClearSolutions.code_stub = {
    "python": '# YOUR CODE HERE\nraise NotImplementedError("fill in this cell")'
}
# The visible tests carry no points, and `nbgrader validate` would pass over them otherwise.
c.Validator.validate_all = True
# Seconds per cell: everything graded takes well under one, so this only stops an endless loop.
c.Execute.timeout = 120
c.LimitOutput.max_lines = 500
# `OverwriteCells.add_missing_cells` stays off: it fails on the whole submission where the cell
# before the missing one is locked and ungraded. A deleted test shows up as "needs manual grade".

# What students wrote and displayed is cleaned before a browser shows it to anyone.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {  # the first is the only one that nbgrader's templates end a text with
    "strip_files_prefix": "autograder.safe_html.clean",
    "clean_html": "autograder.safe_html.clean",
}

# Tiny tensors are slower on several threads, and classes are graded in several processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# nbgrader calls its helper `alembic` by name: found also when .venv is not activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"

if (ROOT / "nbgrader_local.py").exists():
    load_subconfig("nbgrader_local.py")
