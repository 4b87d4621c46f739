"""The students of the rehearsal: what they hand in, and the marks that they must get."""

import random
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from autograder.cli import ASSIGNMENT
from autograder.submissions.cells import is_answer, role_of

WRITTEN = "I would say that it depends, and I have three reasons."
SLOW = re.compile("infinite|exits|overflow")  # known answers that take long
Notebooks = dict[str, NotebookNode]


@dataclass
class Student:
    """A student's notebooks, and the marks that they must get."""

    name: str
    notebooks: Notebooks
    points: dict[str, float | None] = field(default_factory=dict)  # of cells without full marks
    states: dict[str, str] = field(default_factory=dict)  # of notebooks that cannot be graded
    late: bool = False

    def cell(self, name: str) -> NotebookNode:
        """Return the cell of that id, from whichever notebook holds it."""
        return next(c for nb in self.notebooks.values() for c in nb.cells if c.id == name)

    def with_cell(self, name: str) -> tuple[NotebookNode, int]:
        """Return the notebook that holds the cell of that id, and the cell's index."""
        cell = self.cell(name)
        notebook = next(nb for nb in self.notebooks.values() if cell in nb.cells)
        return notebook, notebook.cells.index(cell)


class School:
    """The released notebooks, the right answers, and known wrong ones."""

    def __init__(self, course: Path, answers: Path) -> None:
        self.released = _read(course / "release" / ASSIGNMENT)
        source = _read(course / "source" / ASSIGNMENT)
        cells = [c for notebook in source.values() for c in notebook.cells]
        self.right = {c.id: _unmarked(c) for c in cells if is_answer(c)}
        roles = [role_of(c) for c in cells]
        self.most = {r["grade_id"]: float(r["points"]) for r in roles if r.get("grade")}
        self.by_hand = {c.id for c in cells if is_answer(c) and role_of(c).get("grade")}
        self.wrong: dict[str, list[tuple[str, float]]] = {}
        for path in sorted(answers.glob("*/wrong_*.py")):
            if not SLOW.search(path.name) and path.parent.name in self.right:
                head, _, text = path.read_text(encoding="utf-8").partition("\n")
                points = float(head.removeprefix("# points:").partition("|")[0])
                self.wrong.setdefault(path.parent.name, []).append((text, points))

    def solved(self, name: str) -> Student:
        """Return a student whose answers are all right."""
        student = Student(name, deepcopy(self.released))
        for cell in (c for nb in student.notebooks.values() for c in nb.cells):
            cell.source = self.right.get(cell.id, cell.source)
        return student

    def students(self) -> Iterator[Student]:
        """Yield the class of thirty, in order."""
        for number in range(8):
            yield self.solved(f"perfect-{number}")
        for number in range(8):
            yield self.partial(f"partial-{number}", random.Random(number))
        for number in range(2):
            points: dict[str, float | None] = dict.fromkeys(self.most, 0.0)
            yield Student(f"blank-{number}", deepcopy(self.released), points)
        yield from map(self.broken, range(3))
        yield from (self.hostile(*attack) for attack in enumerate(ATTACKS))
        for number, name in enumerate(("ddim_step", "kl_divergence")):
            lazy = self.solved(f"lazy-{number}")
            lazy.cell(name).source = LAZY[name]
            lazy.points = {f"test_{name}": 0.0}
            yield lazy
        yield from map(self.split, range(2))
        late = self.solved("late-0")
        late.late = True
        yield late

    def partial(self, name: str, dice: random.Random) -> Student:
        """Return a student with a known mistake in every notebook."""
        student = self.solved(name)
        for notebook in student.notebooks.values():
            cell = dice.choice([c for c in notebook.cells if c.id in self.wrong])
            cell.source, student.points[f"test_{cell.id}"] = dice.choice(self.wrong[cell.id])
        return student

    def broken(self, number: int) -> Student:
        """Return a student with an unreadable notebook; the last one did not hand it in at all."""
        student = self.solved(f"broken-{number}")
        name = list(student.notebooks)[number]
        student.states[name] = "missing" if number == 2 else "rejected"
        return student

    def hostile(self, number: int, attack: Callable[[Student], None]) -> Student:
        """Return a student who tries to get points for a wrong answer by an attack."""
        student = self.solved(f"hostile-{number}")
        student.cell("ddim_step").source = WRONG
        student.points = {"test_ddim_step": 0.0}
        attack(student)
        return student

    def split(self, number: int) -> Student:
        """Return a student who split an answer into two cells; the second may be unnamed."""
        student = self.solved(f"split-{number}")
        notebook, place = student.with_cell("ddim_step")
        whole = notebook.cells[place]
        other = deepcopy(whole) if number else new_code_cell(whole.source)
        whole.source, other.id = "def my_root(value):\n    return value.sqrt()\n", "second"
        other.source = other.source.replace("abar_t.sqrt()", "my_root(abar_t)")
        notebook.cells.insert(place + 1, other)
        return student


def _read(folder: Path) -> Notebooks:
    return {p.stem: nbformat.read(p, as_version=4) for p in sorted(folder.glob("*.ipynb"))}


def _unmarked(cell: NotebookNode) -> str:
    """Return a right answer without the marker lines around it."""
    if cell.cell_type != "code":
        return WRITTEN
    lines = cell.source.split("\n")
    return "\n".join(line for line in lines if not line.strip().startswith("### "))


WRONG = "def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):\n    return x_t * 0\n"
LAZY = {
    "ddim_step": WRONG.replace("x_t * 0", "torch.tensor([[1.1, 0.2]])"),
    "kl_divergence": "def kl_divergence(mu, logvar):\n    return torch.tensor(1.25)\n",
}
AGENT = 'import gc\nagent = next(o for o in gc.get_objects() if type(o).__name__ == "Agent")\n'


def _own(student: Student, source: str) -> None:
    notebook, place = student.with_cell("ddim_step")
    notebook.cells.insert(place, new_code_cell(source))


def _more_points(student: Student) -> None:
    """Change a test and its points, and delete the visible test."""
    notebook, place = student.with_cell("ddim_step")
    test = notebook.cells[place + 2]
    test.metadata.nbgrader["points"], test.source = 1000, "1000.0"
    del notebook.cells[place + 1]


ATTACKS = (
    _more_points,
    lambda student: _own(student, "import os\nos._exit(0)"),
    lambda student: _own(student, AGENT + "agent.do_call = lambda **asked: asked['args'][0]"),
    lambda student: _own(student, "import torch\ntorch.allclose = lambda *a, **k: True"),
)
