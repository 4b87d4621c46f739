"""Which profile does an experiment get?"""

import pytest

from mnistdiff.errors import MnistdiffError
from mnistdiff.experiments import get_profile


@pytest.fixture(autouse=True)
def no_grading(monkeypatch):
    for name in ("MNISTDIFF_PROFILE", "NBGRADER_EXECUTION"):
        monkeypatch.delenv(name, raising=False)


def test_the_argument_names_the_profile_unless_the_environment_does(monkeypatch):
    assert get_profile().name == "quick"
    assert get_profile("ship").name == "ship"
    monkeypatch.setenv("MNISTDIFF_PROFILE", "smoke")
    assert get_profile("ship").name == "smoke"
    monkeypatch.setenv("MNISTDIFF_PROFILE", "ship")
    assert get_profile().name == "ship"
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert get_profile().name == "smoke"


def test_a_profile_that_does_not_exist_is_told(monkeypatch):
    with pytest.raises(MnistdiffError, match=r"'tiny'; it must be one of smoke, quick"):
        get_profile("tiny")
    monkeypatch.setenv("MNISTDIFF_PROFILE", "tiny")
    with pytest.raises(MnistdiffError, match="'tiny'"):
        get_profile()
