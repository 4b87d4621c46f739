"""Confidence intervals of shares and of means of a few runs."""

import math
from collections.abc import Sequence
from statistics import mean, stdev

from mnistdiff.errors import MnistdiffError


def wilson_interval(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927); it is reliable near 0 and 1 too.

    Raises MnistdiffError unless 0 <= successes <= n and n >= 1.
    """
    if not 0 <= successes <= n or n < 1:
        raise MnistdiffError(
            f"{successes} of {n} is not a share; expected 0 <= successes <= n and n >= 1."
        )
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # exact at the ends, where rounding would give 1e-17 instead of 0
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


# Student's t at 97.5 % for 1, 2, 3, ... degrees of freedom
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a few runs, at least two (Student, 1908)."""
    degrees = len(values) - 1
    half = student_t(degrees) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def student_t(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t; beyond the table by Fisher's series."""
    if degrees <= len(STUDENT_T):
        return STUDENT_T[degrees - 1]
    z = 1.959964
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2
