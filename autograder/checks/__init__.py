"""The checks of all graded cells: one file per notebook, one class per cell.

To add a check for the answer cell `my_cell` of notebook `NN_name`:

1. In `autograder/checks/NN_name.py` write a subclass of `Check` with `name = "my_cell"`, with
   `points` from the table of points, and with `seals` naming the library function that the cell
   re-implements. The registry finds the class by itself; there is no list to extend. Move long
   checks into modules of their own, as for notebook 03, and name the classes in the numbered one.
2. Give it one method per behaviour, marked `@behaviour("what must hold", points=2)`; their points
   must sum to the points of the cell. A method takes `(student, draw)`. It calls the student's
   code through `student.call` or `student.grad` with values from `draw`, and raises
   `WrongAnswer(hint)` if the behaviour is missing. Keep behaviours independent, so that one
   mistake costs only its own points. Compare with `close`, and let `diagnose` name the likely
   mistake: compute the result of each typical wrong formula. A hint never shows a hidden value.
3. Add answers to `tests/answers/my_cell/`: at least four `right_*.py` and four `wrong_*.py`, one
   of them `wrong_blank.py`. The first line of each states the points and a part of the hint:
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
    """Return every check class by the id of its cell, in the order of the notebooks."""
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
    """Return the check of one cell. Raises KeyError if there is none."""
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
