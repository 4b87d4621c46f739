"""Does the first line of a notebook give the time that was measured?"""

import json
import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = json.loads((ROOT / "book" / "results" / "notebooks.json").read_text())["seconds"]
NEEDS = re.compile(r"^# \*Needs: CPU, about (\d+) minutes?[.;]", re.M)


@pytest.mark.parametrize("name", SECONDS)
def test_the_first_line_gives_the_measured_time_in_minutes_rounded_up(name):
    found = NEEDS.search((ROOT / "solutions" / f"{name}.py").read_text())
    assert found, f"solutions/{name}.py has no line '*Needs: CPU, about N minutes.*'"
    minutes = math.ceil(SECONDS[name] / 60)
    assert int(found[1]) == minutes, f"{name} took {SECONDS[name]} s: write about {minutes} minutes"
