"""Pairs of answers that share what hardly anyone else wrote: a reason to look, never a verdict.

An answer becomes the tokens of its syntax tree, names replaced, and these a set of fingerprints
(winnowed hashes of runs of tokens). A fingerprint counts by how rare it is in the class: the right
two-line formula is everybody's and says nothing, the same odd detour in two answers says a lot.
In a class of a dozen nothing is rare, and nothing is listed.
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
WINDOW = 4  # of each so many fingerprints in a row, one is kept
COMMON = 0.2  # what more than this share of the class wrote is nobody's own
MOST = 20_000  # characters of an answer that are compared
LEAST_ALIKE = 0.5  # of a cell's rare fingerprints, to be named
LONGEST = 10_000  # bits of a whole number that Python writes out
SHORT, LONG = 8, 2.0  # fingerprints of an answer that counts in full; the most that length adds


class Pair(NamedTuple):
    """Two students, the bits of surprise in what they share, and where: (grade_id, share)."""

    first: str
    second: str
    bits: float
    cells: list[tuple[str, float]]


def pairs(
    answers: Mapping[str, Mapping[str, str]], released: Mapping[str, str] | None = None
) -> list[Pair]:
    """Pairs that share unusual code, the strangest first.

    `answers` holds each student's sources by the name of the cell, `released` the text that all
    were given, which counts for nothing.
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
    # Of all pairs in the class, chance makes about one that reaches this.
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
    """Pairs whose rare fingerprints in one cell are mostly the same: share, bits of surprise."""
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
            # Its parts come together: a whole function is found, or thought of, only once.
            length = min(LONG, len(both) / SHORT)
            yield (first, second), share, share * length * sum(both) / len(both)


def _bits(owners: int, students: int) -> float:
    """How surprising it is to meet a fingerprint, beyond one that COMMON of the class have."""
    return max(0.0, math.log2(COMMON * students / owners))


@lru_cache(maxsize=20_000)
def fingerprints(source: str) -> frozenset[int]:
    """The winnowed hashes of an answer: the same for another layout, other names or comments."""
    marks = [zlib.crc32(token.encode()) for token in tokens(source)]
    hashes = [hash(tuple(marks[i : i + RUN])) for i in range(len(marks) - RUN + 1)]
    last = max(1, len(hashes) - WINDOW + 1)
    return frozenset(min(hashes[i : i + WINDOW]) for i in range(last) if hashes)


def tokens(source: str) -> list[str]:
    """The syntax tree in reading order; of code that does not parse, its words and signs.

    Of a text longer than `MOST`, its beginning.
    """
    source = source[:MOST]
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = re.sub(r"#.*", "", source)
        return [t if not t.isidentifier() else "name" for t in re.findall(r"\w+|[^\w\s]", text)]
    found: list[str] = []
    waiting: list[ast.AST] = [tree]
    while waiting:  # no recursion: students nest as deep as they like
        node = waiting.pop()
        if _is_text(node):
            continue
        found.append(_token(node))
        waiting += reversed(list(_children(node)))
    return found


def _is_text(node: ast.AST) -> bool:
    """A docstring, or another string that stands for itself."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _token(node: ast.AST) -> str:
    """Kinds of nodes; attributes and numbers by what they are: `.sqrt` cannot be renamed."""
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"
    if isinstance(node, ast.Constant):
        long = isinstance(node.value, int) and node.value.bit_length() > LONGEST
        return "text" if isinstance(node.value, str) or long else repr(node.value)
    return type(node).__name__


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Parts of a node, without a function's signature: that was given."""
    for name, value in ast.iter_fields(node):
        if name in ("ctx", "args", "returns", "annotation") and not isinstance(node, ast.Call):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield part
