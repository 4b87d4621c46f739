"""The mutation tool: every change is one change, and names itself the same wherever it stands."""

import ast

import pytest
from mutate import EQUIVALENT, ROOT, equivalents, modules
from mutation.operators import mutants_of

MODULE = '''"""A docstring with 1 number."""
__all__ = ["f"]
SIZE: int = 3


def f(x, β=0.5, *, flag=True):
    """Another docstring."""
    if not x or β >= 1:
        raise ValueError(f"{x + 1} is odd")
    with open("file", "w") as file:
        print(x, file=file)
    folder = path / "name"
    return max(x * 2, -1)
'''
CHANGES = {
    "SIZE: int = 4",
    "def f(x, β=1.0, *, flag=True):",
    "def f(x, β=0.5, *, flag=False):",
    "if (not (not x or β >= 1)):",
    "if (not x and β >= 1):",
    "if (x) or β >= 1:",
    "if not x or (β > 1):",
    "if not x or β >= 2:",
    "pass",
    "with open(\"file\", 'a') as file:",
    "return None",
    "return min(x * 2, -1)",
    "return max((x / 2), -1)",
    "return max(x * 3, -1)",
    "return max(x * 2, (1))",
    "return max(x * 2, -2)",
}


@pytest.fixture
def module(tmp_path):
    (tmp_path / "module.py").write_text(MODULE)
    return tmp_path


def test_a_mutant_changes_one_place(module):
    before = MODULE.splitlines()
    found = set()
    for mutant in mutants_of(module, "module.py"):
        source = mutant.applied_to(MODULE)
        ast.parse(source)
        after = source.splitlines()
        assert len(after) == len(before)
        (place,) = [i for i, line in enumerate(before) if after[i] != line]
        assert place + 1 == mutant.line
        found.add(after[place].strip())
    assert found == CHANGES


def test_a_mutant_keeps_its_name_when_lines_move(module):
    keys = [mutant.key for mutant in mutants_of(module, "module.py")]
    assert len(set(keys)) == len(keys)
    (module / "module.py").write_text("\n\nx = []\n" + MODULE)
    assert [mutant.key for mutant in mutants_of(module, "module.py")] == keys


def test_every_equivalent_mutant_is_one_of_todays():
    known = equivalents()
    assert known, EQUIVALENT
    files = {key[0] for key in known}
    assert files <= set(modules())
    today = {mutant.key for file in files for mutant in mutants_of(ROOT, file)}
    assert not set(known) - today
