"""Find pairs of answers that share rare code: a reason to read them, never a verdict.

An answer becomes the tokens of its syntax tree without names, and the tokens become a set of
fingerprints (winnowed hashes of runs of tokens). The rarer a fingerprint is in the class, the more
it counts: everybody writes the right two-line formula, but few take the same odd detour. A long
answer that only two or three students wrote in that way counts by its length, too. In a class of
ten students nothing is rare, so nothing is listed.
"""

import ast
import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

RUN = 6  # tokens that a fingerprint covers
WINDOW = 4  # one fingerprint is kept of each window
COMMON = 0.2  # share of the class above which a fingerprint counts as common
MOST = 20_000  # characters of an answer that are compared
LEAST_ALIKE = 0.5  # share of a cell's rare fingerprints from which a pair counts
LONGEST = 10_000  # bits of a whole number that Python prints
SHORT, LONG = (
    8,
    2.0,
)  # fingerprints of an answer that counts fully; the limit of the factor for length
FEW = 3  # owners of a fingerprint that nobody else has
ODD = 44  # such fingerprints, from which one shared answer is listed on its own


class Pair(NamedTuple):
    """Two students, the bits of surprise in what they share, and each (grade_id, share)."""

    first: str
    second: str
    bits: float
    cells: list[tuple[str, float]]


def pairs(
    answers: Mapping[str, Mapping[str, str]], released: Mapping[str, str] | None = None
) -> list[Pair]:
    """Return the pairs that share unusual code, the most unusual first.

    `answers` holds each student's answers by grade_id. `released` holds the text that all students
    were given, which is ignored.
    """
    by_cell: dict[str, dict[str, frozenset[int]]] = defaultdict(dict)
    for student, cells in answers.items():
        for name, source in cells.items():
            by_cell[name][student] = fingerprints(source)
    found: dict[tuple[str, str], list[tuple[str, float, float]]] = defaultdict(list)
    for name, prints in sorted(by_cell.items()):
        given = fingerprints((released or {}).get(name, ""))
        for pair, share, bits in _in_cell(prints, given):
            found[pair].append((name, share, bits))
    # By chance, about one of all pairs in the class reaches this.
    least = math.log2(max(2, math.comb(len(answers), 2)))
    listed = []
    for (first, second), cells in found.items():
        bits = sum(b for _, _, b in cells)
        named = [(name, share) for name, share, _ in sorted(cells, key=lambda c: -c[2])]
        if bits >= least:
            listed.append(Pair(first, second, bits, named))
    return sorted(listed, key=lambda pair: (-pair.bits, pair.first, pair.second))


def _in_cell(
    prints: Mapping[str, frozenset[int]], given: frozenset[int]
) -> Iterator[tuple[tuple[str, str], float, float]]:
    """Yield pairs that share most of their rare fingerprints in a cell: pair, share, bits."""
    owners: dict[int, list[str]] = defaultdict(list)
    for student in sorted(prints):
        for mark in prints[student] - given:
            owners[mark].append(student)
    weights = {mark: _bits(len(who), len(prints)) for mark, who in owners.items()}
    shared: dict[tuple[str, str], list[float]] = defaultdict(list)
    for mark, who in owners.items():
        if weights[mark] > 0:
            for pair in combinations(who, 2):
                shared[pair].append(weights[mark])
    own = {s: sum(weights.get(mark, 0.0) for mark in prints[s]) for s in prints}
    for (first, second), both in shared.items():
        share = sum(both) / (own[first] + own[second] - sum(both))
        if share >= LEAST_ALIKE:
            # Fingerprints of one function are not independent: they are copied together.
            length = min(LONG, len(both) / SHORT)
            bits = share * length * sum(both) / len(both)
            alone = sum(weight >= _bits(FEW, len(prints)) for weight in both)
            yield (first, second), share, max(bits, _bits_of_odd(alone, len(prints)))


def _bits_of_odd(alone: int, students: int) -> float:
    """Return the surprise of an answer of which `alone` fingerprints have few owners.

    Each SHORT of them count as one choice that one student in the class makes.
    """
    return alone / SHORT * math.log2(students) if alone >= ODD else 0.0


def _bits(owners: int, students: int) -> float:
    """Return the surprise of a fingerprint, in bits above one that a share COMMON has."""
    return max(0.0, math.log2(COMMON * students / owners))


@lru_cache(maxsize=20_000)
def fingerprints(source: str) -> frozenset[int]:
    """Return the winnowed hashes of an answer; layout, names and comments don't change them."""
    marks = [zlib.crc32(token.encode()) for token in tokens(source)]
    hashes = [hash(tuple(marks[i : i + RUN])) for i in range(len(marks) - RUN + 1)]
    last = max(1, len(hashes) - WINDOW + 1)
    return frozenset(min(hashes[i : i + WINDOW]) for i in range(last) if hashes)


def tokens(source: str) -> list[str]:
    """Return the syntax tree's tokens in reading order; words and signs if it does not parse.

    Only the first `MOST` characters are used.
    """
    source = source[:MOST]
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = re.sub(r"#.*", "", source)
        return [t if not t.isidentifier() else "name" for t in re.findall(r"\w+|[^\w\s]", text)]
    found: list[str] = []
    waiting: list[ast.AST] = [tree]
    while waiting:  # no recursion: a student's code may be nested deeply
        node = waiting.pop()
        if _is_text(node):
            continue
        found.append(_token(node))
        waiting += reversed(list(_children(node)))
    return found


def _is_text(node: ast.AST) -> bool:
    """Return whether this is a docstring, or another string on its own."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _token(node: ast.AST) -> str:
    """Return the kind of a node; attributes and numbers keep their value, as in `.sqrt`."""
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"
    if isinstance(node, ast.Constant):
        long = isinstance(node.value, int) and node.value.bit_length() > LONGEST
        return "text" if isinstance(node.value, str) or long else repr(node.value)
    return type(node).__name__


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node, without a function's signature, which was given."""
    for name, value in ast.iter_fields(node):
        if name in ("ctx", "args", "returns", "annotation") and not isinstance(node, ast.Call):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield part
