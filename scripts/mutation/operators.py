"""The changes: every mutant of a module, as the text before and after.

Left out on purpose: docstrings and every other text but file modes, annotations, decorators,
`__all__`, the contents of f-strings, `if __name__ == "__main__"`, constants and drawing calls in
`mnistdiff/plotting` (how a figure looks), paths joined with `/` and texts joined with `+` (the
change is always a TypeError), and statements that fork, kill or delete a folder (a mutant of
those could harm the machine that it runs on).
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip
SWAPS = {
    "min": "max", "max": "min", "amin": "amax", "amax": "amin", "argmin": "argmax",
    "argmax": "argmin", "floor": "ceil", "ceil": "floor", "any": "all", "all": "any",
    "sin": "cos", "cos": "sin", "sum": "mean", "mean": "sum",
}  # fmt: skip
FILE_MODES = {"w": "a", "wb": "ab", "a": "w", "ab": "wb", "x": "w", "xb": "wb"}
HARMFUL = re.compile(r"\b(fork|kill|killpg|rmtree|terminate|setrlimit|unshare|mount)\b")
A_PATH = re.compile(r"(?i)path|folder|root|here|dir|parent|course|cache|tmp")
COSMETIC = "mnistdiff/plotting/"
SKIPPED_FILES = ("autograder/sandbox/attacks.py",)  # programs that must fail in the sandbox


@dataclass(frozen=True)
class Mutant:
    """One change; `key` stays the same when lines above it move."""

    file: str
    function: str
    line: int
    before: str
    after: str
    number: int  # the how many-th equal change in this function, from 1
    span: tuple[int, int, int, int]  # first and last line from 0, first and last byte in them
    lines: range  # of the statement; of the function, for a default; none for what runs on import

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What names the mutant in `mutants_equivalent.toml`."""
        return self.file, self.function, self.before, self.after, self.number

    def applied_to(self, source: str) -> str:
        """Return the module with this change."""
        lines = source.encode().splitlines(keepends=True)
        first, last, start, end = self.span
        middle = lines[first][:start] + self.after.encode() + lines[last][end:]
        return b"".join([*lines[:first], middle, *lines[last + 1 :]]).decode()


def mutants_of(root: Path, file: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    source = (root / file).read_text()
    rows = source.encode().splitlines(keepends=True)
    seen: Counter[tuple] = Counter()
    found = []
    for place in _Places(file).of(ast.parse(source)):
        node, after = place.node, place.after
        span = (
            node.lineno - 1,
            (node.end_lineno or 0) - 1,
            node.col_offset,
            node.end_col_offset or 0,
        )
        before = " ".join(_text(rows, *span).split())
        mutant = Mutant(file, place.function, node.lineno, before, after, 1, span, place.lines)
        seen[mutant.key] += 1
        found.append(replace(mutant, number=seen[mutant.key]))
    return sorted(found, key=lambda mutant: mutant.line)


def _text(rows: list[bytes], first: int, last: int, start: int, end: int) -> str:
    """Return the source in a span; columns count bytes."""
    if first == last:
        return rows[first][start:end].decode()
    return b"".join([rows[first][start:], *rows[first + 1 : last], rows[last][:end]]).decode()


@dataclass(frozen=True)
class _Place:
    node: ast.expr | ast.stmt
    after: str
    function: str
    lines: range


class _Places:
    """Walk a module and offer every change, with the function and the statement around it."""

    def __init__(self, file: str) -> None:
        self.cosmetic = file.startswith(COSMETIC)

    def of(self, module: ast.Module) -> Iterator[_Place]:
        for statement in module.body:
            yield from self.statement(statement, "", on_import=True)

    def statement(self, node: ast.stmt, function: str, on_import: bool) -> Iterator[_Place]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from self.definition(node, f"{function}.{node.name}".lstrip("."))
        elif not _is_skipped(node):
            lines = range(0) if on_import else range(node.lineno, _end_of_head(node) + 1)
            for changed, after in self.changes(node):
                yield _Place(changed, after, function, lines)
            for inner in _bodies(node):
                yield from self.statement(inner, function, on_import)

    def definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, function: str
    ) -> Iterator[_Place]:
        is_class = isinstance(node, ast.ClassDef)
        if not is_class:
            lines = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
            for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
                for changed, after in self.expressions(default):
                    yield _Place(changed, after, function, lines)
        for inner in node.body:
            yield from self.statement(inner, function, on_import=is_class)

    def changes(self, node: ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
        """The changes of a statement without the statements in it."""
        if not _is_harmful(node):
            yield from self.of_statement(node)
            for part in _expressions(node):
                yield from self.expressions(part)

    def of_statement(self, node: ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
        call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
        if (call and not self.cosmetic) or isinstance(node, ast.AugAssign | ast.Raise | ast.Assert):
            yield node, "pass"
        if isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name | ast.Tuple):
            yield node, "pass"
        if isinstance(node, ast.Break | ast.Continue):
            yield node, "continue" if isinstance(node, ast.Break) else "break"
        if isinstance(node, ast.Return) and not isinstance(node.value, ast.Constant | None):
            yield node, "return None"
        if isinstance(node, ast.If | ast.While):
            yield from _negated(node.test)

    def expressions(self, node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
        if isinstance(node, ast.JoinedStr):  # its parts have no places of their own in Python 3.11
            return
        if isinstance(node, ast.expr):
            yield from self.of_expression(node)
        if isinstance(node, ast.comprehension):
            for test in node.ifs:
                yield from _negated(test)
        for child in ast.iter_child_nodes(node):
            yield from self.expressions(child)

    def of_expression(self, node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
        match node:
            case ast.Compare(ops=[op]):
                yield _changed(node, ops=[COMPARISONS[type(op)]()])
            case ast.BinOp(op=op) if type(op) in ARITHMETIC and not _joins_text(node):
                yield _changed(node, op=ARITHMETIC[type(op)]())
            case ast.BoolOp(op=op):
                yield _changed(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=inner):
                yield node, f"({ast.unparse(inner)})"
            case ast.Constant(value=value) if not self.cosmetic:
                yield from _constant(node, value)
            case ast.IfExp(test=test):
                yield from _negated(test)
            case ast.Call(func=ast.Name(id=name)) if name in SWAPS and name != "sum":
                yield node.func, SWAPS[name]
            case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in SWAPS:
                yield node.func, f"({ast.unparse(value)}).{SWAPS[name]}"
        if isinstance(node, ast.Call):
            yield from _file_mode(node)


def _changed(node: ast.expr, **parts: object) -> tuple[ast.expr, str]:
    fields = {name: getattr(node, name) for name in node._fields}
    return node, f"({ast.unparse(type(node)(**(fields | parts)))})"


def _negated(test: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    """`not test`, unless another change has the same effect."""
    if not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant):
        yield test, f"(not ({ast.unparse(test)}))"


def _constant(node: ast.Constant, value: object) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(value, bool):
        yield node, str(not value)
    elif isinstance(value, int):
        yield node, str(value + 1)
    elif isinstance(value, float):
        yield node, repr(2 * value) if value else "1.0"


def _file_mode(node: ast.Call) -> Iterator[tuple[ast.expr, str]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    if name in ("open", "fdopen"):
        for part in [*node.args, *(k.value for k in node.keywords if k.arg == "mode")]:
            if isinstance(part, ast.Constant) and part.value in FILE_MODES:
                yield part, repr(FILE_MODES[part.value])


def _is_text(node: ast.expr) -> bool:
    text = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    return text or isinstance(node, ast.JoinedStr | ast.List | ast.Tuple)


def _joins_text(node: ast.BinOp) -> bool:
    """Whether `+` joins texts or `/` joins paths: every change would be a TypeError."""
    if _is_text(node.left) or _is_text(node.right):
        return True
    if isinstance(node.left, ast.BinOp) and _joins_text(node.left):
        return True
    return isinstance(node.op, ast.Div) and bool(A_PATH.search(ast.unparse(node.left)))


def _is_skipped(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    text = ast.unparse(node).split("\n")[0]
    return text.startswith(("__all__", "if __name__", "if TYPE_CHECKING"))


def _is_harmful(node: ast.stmt) -> bool:
    return any(HARMFUL.search(ast.unparse(part)) for part in _expressions(node))


def _expressions(node: ast.stmt) -> list[ast.AST]:
    """The expressions of a statement, without annotations and without inner statements."""
    parts = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.stmt)]
    if isinstance(node, ast.AnnAssign):
        parts = [part for part in parts if part is not node.annotation]
    if isinstance(node, ast.Try | ast.Match):
        return []
    return parts


def _bodies(node: ast.stmt) -> Iterator[ast.stmt]:
    for name in ("body", "orelse", "finalbody"):
        yield from getattr(node, name, [])
    for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
        yield from part.body


def _end_of_head(node: ast.stmt) -> int:
    """The last line of a statement, of `if x:` for a compound one."""
    inner = next(_bodies(node), None)
    assert node.end_lineno is not None
    return node.end_lineno if inner is None else max(node.lineno, inner.lineno - 1)
