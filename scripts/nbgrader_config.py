"""Settings of the nbgrader course. `make course` overwrites it; use nbgrader_local.py for yours."""

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
# The visible tests have no points; without this `nbgrader validate` would skip them.
c.Validator.validate_all = True
# Seconds per cell. Every graded cell takes less than one, so this only stops an endless loop.
c.Execute.timeout = 120
c.LimitOutput.max_lines = 500
# `OverwriteCells.add_missing_cells` stays off: it fails for the whole submission if the cell before
# the missing one is locked and ungraded. A deleted test is shown as "needs manual grade".

# Clean what students wrote and displayed before a browser shows it.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {  # only the first is ever the last filter in nbgrader's templates
    "strip_files_prefix": "autograder.safe_html.clean",
    "clean_html": "autograder.safe_html.clean",
    "markdown2html": "autograder.safe_html.markdown",
}
# Pages are made anew each time: without a receipt, nbgrader cannot see that one is outdated.
c.GenerateFeedback.force = True

# Small tensors are slower on several threads, and a class is graded in several processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# nbgrader calls `alembic` by name; this finds it when .venv is not activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"

if (ROOT / "nbgrader_local.py").exists():
    load_subconfig("nbgrader_local.py")
