"""Do the visible tests pass every answer that the hidden checks give full marks?"""

import ast
import re
from functools import cache
from pathlib import Path

import build_notebooks
import notebook_guard as guard
import pytest

ROOT = Path(__file__).parents[2]
RIGHT = sorted((ROOT / "tests" / "answers").glob("*/right_*.py"))
VISIBLE = re.compile(r"^# visible: (.+)$", re.M)
EXPLAINED = [
    path
    for path in sorted((ROOT / "tests" / "answers").glob("*/wrong_*.py"))
    if VISIBLE.search(path.read_text())
]


@cache
def notebooks() -> dict[str, dict[str, str]]:
    """For each answer's id the cells, by id, of its notebook."""
    cells: dict[str, dict[str, str]] = {}
    for source in build_notebooks.read_sources(ROOT).values():
        own = {cell.id: cell.source for cell in source.cells if cell.cell_type == "code"}
        ids = [guard.grading(cell).get("grade_id") for cell in source.cells]
        cells |= dict.fromkeys(filter(None, ids), own)
    return cells


def imports(source: str) -> ast.Module:
    """The import statements of a cell, its magics left out."""
    code = "\n".join(line for line in source.split("\n") if not line.startswith("%"))
    body = [node for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.Module(body, type_ignores=[])


def namespace(answer: str) -> dict:
    """What a notebook holds before this answer cell: all that it imports, the earlier answers."""
    found: dict = {"__name__": "__main__"}
    for source in notebooks()[answer].values():
        exec(compile(imports(source), "imports", "exec"), found)
    for grade_id, source in notebooks()[answer].items():
        if grade_id == answer:
            return found
        if f"visible_{grade_id}" in notebooks()[answer]:
            exec(source, found)
    raise AssertionError(f"no notebook has a cell {answer}")


@pytest.mark.filterwarnings("ignore")  # a warning costs no mark
@pytest.mark.parametrize("path", RIGHT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_right_answer_passes_the_visible_tests(path, capsys):
    answer = path.parent.name
    found = namespace(answer)
    exec(compile(path.read_text(), str(path), "exec"), found)
    exec(notebooks()[answer][f"visible_{answer}"], found)
    assert f"{answer}: the visible tests pass." in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", EXPLAINED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_wrong_answer_gets_the_sentence_of_its_second_line(path):
    answer, source = path.parent.name, path.read_text()
    found = namespace(answer)
    exec(compile(source, str(path), "exec"), found)
    sentence = VISIBLE.search(source)
    assert sentence
    with pytest.raises(AssertionError, match=re.escape(sentence[1])):
        exec(notebooks()[answer][f"visible_{answer}"], found)
