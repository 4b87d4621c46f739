"""The checks of all graded cells: one file per notebook, one class per cell.

To add a check for the answer cell `my_cell` of notebook `NN_name`:

1. In `autograder/checks/NN_name.py` write a subclass of `Check` with `name = "my_cell"`, `points`
   as in the table of points, and in `seals` the library function that the cell re-implements.
   The class is found by its name: there is no list to extend. What grows long goes into modules
   of its own, as for notebook 03; the numbered one then names the classes in order.
2. Give it one method per behaviour, marked `@behaviour("what must hold", points=2)`; their points
   must sum to the cell's. A method takes `(student, draw)`, asks the student's code through
   `student.call` or `student.grad` on values drawn from `draw`, and raises `Wrong(hint)` when the
   behaviour is missing. Keep behaviours apart, so that one mistake costs its own points only.
   Compare with `close`, and let `diagnose` name the likely mistake: compute what each typical
   wrong formula would give, and say which one was met. A hint never shows a hidden value.
3. Put answers under `tests/answers/my_cell/`: `right_*.py` and at least three `wrong_*.py`, whose
   first line states the points they must get and a part of the hint they must be shown:
   `# points: 2 | hint: sum over the latent dimensions`. The tests find them by themselves.
4. In the notebook, the hidden test cell is `check("my_cell", globals())`.
"""

import functools
import importlib
import pkgutil
from types import FunctionType

from autograder.checks.base import Check
from autograder.inside.guards import locate


@functools.cache
def registry() -> dict[str, type[Check]]:
    """Every check class by the id of the cell that it checks, in the order of the notebooks."""
    found = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        if not module.name[:2].isdigit():
            continue
        members = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        for member in members:
            if isinstance(member, type) and issubclass(member, Check) and member is not Check:
                found[member.name] = member
    return found


def find(grade_id: str) -> type[Check]:
    """The check of one cell."""
    if grade_id not in registry():
        raise KeyError(f"no check for {grade_id!r}; there are: {', '.join(registry())}")
    return registry()[grade_id]


def require_library_functions() -> None:
    """Raise RuntimeError if a check seals or stands in a function that the library lacks.

    Call this before student code runs: `seal` skips what it cannot find, because a student may
    have deleted it, so a wrong path would leave the library's answer open.
    """
    for name, check in registry().items():
        for path in (*check.seals, *check.stand_ins.values()):
            try:
                found: object = locate(path)
            except (ImportError, AttributeError) as error:
                found = error
            if not isinstance(found, FunctionType):
                raise RuntimeError(
                    f"The check of `{name}` names {path}, which is not a function of the library "
                    f"({found!r}): correct the path."
                )
