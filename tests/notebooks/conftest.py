"""The build scripts as modules, and a course of one tiny notebook to build with them."""

import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def role(grade_id: str, **keys: object) -> str:
    """The end of a cell's header line, as nbgrader wants it."""
    base = {"grade": False, "locked": False, "solution": False, "task": False}
    return f"nbgrader={json.dumps(base | keys | {'grade_id': grade_id, 'schema_version': 3})}"


TINY = f"""\
# %% [markdown]
# # Doubling

# %% tags=["parameters"]
profile = "quick"

# %% {role("double", solution=True)}
def double(x: int) -> int:
    \"\"\"Twice x.\"\"\"
    ### BEGIN SOLUTION
    doubled_value = 2 * x
    return doubled_value
    ### END SOLUTION

# %% {role("visible_double", locked=True)}
assert double(2) == 4, "double(2) must be 4"

# %% {role("test_double", grade=True, locked=True, points=2)}
# hidden checks run here
### BEGIN HIDDEN TESTS
assert double(21) == 42
check = lambda *given: 2.0
check("double", globals())
### END HIDDEN TESTS

# %% tags=["hide-input"] mystnb={{"image": {{"alt": "a number"}}}}
import sys
from tqdm.auto import tqdm

print("noise " * 2, file=sys.stderr)
sum(tqdm(range(double(3)), file=sys.stderr))

# %% [markdown] {role("explain_double", grade=True, solution=True, points=3)}
# ### BEGIN SOLUTION
# Because adding a number to itself doubles it.
# ### END SOLUTION
"""
README = """\
<!-- points:begin -->
| notebook | grade_id | points |
|---|---|---:|
| `01_tiny` | `double` | 2 |
| `01_tiny` | `explain_double` | 3 |
| `02_later` | `not_written_yet` | 9 |
<!-- points:end -->

Together 14 points.
"""


@pytest.fixture
def tiny(tmp_path):
    """A repository of one small notebook without torch."""
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "01_tiny.py").write_text(TINY)
    (tmp_path / "README.md").write_text(README)
    return tmp_path


@pytest.fixture
def whole(tmp_path):
    """A copy of what this repository's notebooks are built from."""
    shutil.copytree(ROOT / "solutions", tmp_path / "solutions")
    shutil.copyfile(ROOT / "README.md", tmp_path / "README.md")
    return tmp_path
