"""Checks of the graded cells. A hidden test cell consists of one call of `check`.

Importing this package is cheap: torch and the checks are loaded on the first call.
"""

from collections.abc import Iterable

from autograder.text import one_line

__all__ = ["check"]


def check(grade_id: str, namespace: dict, seed: int | None = None) -> float:
    """Check one cell in this kernel, print a hint per failed behaviour, and return the points.

    nbgrader reads the returned float, even 0.0, as partial credit if the call is the last
    expression of the test cell. Errors and output of the student's code stay inside, but it runs
    in the same process, so a student who wants to cheat still can: see `autograder.inside.guards`.
    Without a `seed` the inputs are the same in every run.
    """
    from autograder.checks import find
    from autograder.inside.student import InKernel

    verdicts = find(grade_id)().run(InKernel(namespace), 0 if seed is None else seed)
    for line in report(grade_id, verdicts):
        print(line)
    return float(sum(verdict.points for verdict in verdicts if verdict.passed))


def report(grade_id: str, verdicts: Iterable) -> list[str]:
    """Return one line per hint: the failed behaviours that share it, their points, and the hint."""
    verdicts, failed = list(verdicts), {}
    for verdict in verdicts:
        if not verdict.passed:
            failed.setdefault(verdict.hint, []).append(verdict)
    lines = []
    for hint, group in failed.items():
        missed = f"0 of {sum(v.points for v in group):g}"
        parts = "; ".join(v.property for v in group)
        everything = len(group) == len(verdicts)
        named = grade_id if everything else f"{grade_id}: {parts}"
        lines.append(one_line(f"{named} ({missed}): {hint}"))
    return lines
