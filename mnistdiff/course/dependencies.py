"""Find the code cells that a run needs, and leave out figures and sweeps that no answer reads.

A cell is needed if it must always run, or if it binds or changes a name that a later needed cell
reads (also inside functions). Import cells bind names, too.
"""

import ast
import re
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

# These statements always bind their names.
SURE = (ast.Assign, ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
# These IPython lines neither bind nor read names; the next ones time the code that follows them.
HARMLESS = re.compile(r"!|%(matplotlib|load_ext|reload_ext|autoreload|config|pip|conda)\b")
TIMING = re.compile(r"%(?:time|timeit|prun)\b((?: +-\w+(?: +\d+)?)*) +")
TIMING_ALL = re.compile(r"%%(time|timeit|prun|capture)\s*$")
# Syntax that IPython adds to Python's: magics, commands, help, prompts, an indented cell
IPYTHON = re.compile(
    r"^[ \t\f]*(?:[%!?,;/]|>>>|\.{3,}|In \[)|\?[ \t\f]*$|=[ \t\f]*[%!]|\A\s+\S", re.MULTILINE
)
AUTOMAGIC = re.compile(r"\w+[ \t][^\n]*\s*")  # a cell of one line, such as `time x = f(2)`
# These run in their own scope: like code below an `if`, they may not bind a name.
UNBOUND, UNBOUND_ALL = re.compile(r"%timeit\b"), re.compile(r"%%timeit\b")
HIDDEN = {"eval", "exec", "globals", "locals", "vars"}  # code with these may read any name
HIDDEN_TEXT = ("get_ipython", "__main__")
MAX_CELL, MAX_NOTEBOOK = 20_000, 200_000  # characters to analyse
MAX_KEPT = 4_000  # characters of a cell whose names are remembered: they take a hundred times that


@dataclass
class Names:
    """The names that a cell takes from other cells, and those that it gives them."""

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    sure: set[str] = field(default_factory=set)  # always bound
    changes: set[str] = field(default_factory=set)  # by x.append(...), x[0] = ..., x.y = ...
    imports: set[str] = field(default_factory=set)
    by_call: bool = False  # a function in it binds names that it declares global

    def add(self, statement: ast.stmt) -> None:
        """Add the cell's next statement; names that are bound before it are not read from outside."""
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        self.reads |= set(_read(table)) - self.sure
        bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        self.imports |= {s.get_name() for s in table.get_symbols() if s.is_imported()}
        self.changes |= set(_changed(statement)) - self.sure
        self.by_call |= any(map(_binds_globals, table.get_children()))
        self.binds |= bound
        if isinstance(statement, SURE):
            self.sure |= bound


def _read(table: symtable.SymbolTable) -> Iterator[str]:
    """Yield the global names that a scope, or one within it, reads."""
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _read(inner)


def _binds_globals(table: symtable.SymbolTable) -> bool:
    """Return whether a scope, or one within it, assigns to a name that it declares global."""
    return any(s.is_declared_global() and s.is_assigned() for s in table.get_symbols()) or any(
        map(_binds_globals, table.get_children())
    )


def _changed(statement: ast.stmt) -> Iterator[str]:
    """Yield the names of the objects that a statement changes."""
    for node in ast.walk(statement):
        target = None
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            target = node.value.func
        elif isinstance(node, (ast.Attribute, ast.Subscript)):
            target = None if isinstance(node.ctx, ast.Load) else node
        while isinstance(target, (ast.Attribute, ast.Subscript)):
            target = target.value
            if isinstance(target, ast.Name):
                yield target.id


def names_of(source: str) -> Names | None:
    """Return the names in a cell's code (do not change them), or None if they cannot be found."""
    return _names_of(source) if len(source) > MAX_KEPT else _remembered(source)


@lru_cache(1_000)  # most students of a class have the same cells
def _remembered(source: str) -> Names | None:
    return _names_of(source)


def _names_of(source: str) -> Names | None:
    if len(source) > MAX_CELL or any(text in source for text in HIDDEN_TEXT):
        return None
    names = Names()
    try:
        statements = _parse(source)
    except SyntaxError:
        lines = source.replace("\r", "\n")
        ipythons = IPYTHON.search(lines) or AUTOMAGIC.fullmatch(lines)
        return None if ipythons else names  # otherwise no line of it can run
    except (ValueError, RuntimeError, MemoryError):  # a null character, or nested too deeply
        return None
    try:
        for statement in statements:
            names.add(statement)
    except (SyntaxError, ValueError, RuntimeError, MemoryError):  # e.g. `return` outside
        return None
    return None if names.reads & HIDDEN else names


def _parse(source: str) -> list[ast.stmt]:
    """Return the statements of a cell, with those that IPython's magics time. Raises SyntaxError."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        body = ast.parse("\n".join(map(_as_python, source.split("\n")))).body
        return [ast.If(ast.Constant(1), body, [])] if UNBOUND_ALL.match(source.lstrip()) else body


def _as_python(line: str) -> str:
    """Return a line without its magic; any other magic stays, and gives a SyntaxError."""
    text = line.lstrip(" \t")
    indent = line[: len(line) - len(text)]
    if HARMLESS.match(text) or TIMING_ALL.match(text):
        return f"{indent}pass"
    sure = TIMING.sub("", text, count=1)
    return f"{indent}if 1: {sure}" if UNBOUND.match(text) else indent + sure


def needed(sources: Mapping[int, str], always: set[int]) -> set[int]:
    """Return the indices of the cells to run.

    `sources` maps each code cell's index to its source, in order; `always` holds the cells that
    must run. If one of those binds a name, earlier cells that bind it run too: it may fail.
    """
    before = accumulate((len(source) for source in sources.values()), initial=0)
    code = {
        place: names_of(source) if start < MAX_NOTEBOOK else None
        for (place, source), start in zip(sources.items(), before, strict=False)
    }
    if any(names.by_call for names in code.values() if names):
        return set(code)  # a call may bind any name
    modules = set().union(*(names.imports for names in code.values() if names))
    kept: set[int] = set()
    wanted: set[str] = set()
    everything = False
    for place, names in reversed(code.items()):
        if names is None or everything:
            kept.add(place)
            everything = True  # this cell may read any name
            continue
        gives = names.binds | (names.changes - modules)
        if place in always or gives & wanted:
            kept.add(place)
            sure = set() if place in always else names.sure
            wanted = (wanted - sure) | names.reads | names.changes
    return kept
