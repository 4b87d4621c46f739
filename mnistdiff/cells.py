"""Which code cells of a notebook a run needs: figures and sweeps that no answer reads are left out.

A cell is needed when it must run anyway, or binds or changes a name that a needed cell after it
reads (also inside functions). Import cells bind names, too.
"""

import ast
import re
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

# statements that bind their names whatever happens
SURE = (ast.Assign, ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
MAGIC = re.compile(r"^(\s*)[%!].*", re.MULTILINE)
HIDDEN = {"eval", "exec", "globals", "locals", "vars"}  # who uses these may read anything
MOST = 500_000  # characters of a cell that are looked at
MOST_MAGIC = 2_000  # the same, where IPython reads the cell anew for each line of its own


@dataclass
class Names:
    """What a cell takes from other cells, and what it gives them."""

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    sure: set[str] = field(default_factory=set)  # bound whatever happens
    changes: set[str] = field(default_factory=set)  # by x.append(...), x[0] = ..., x.y = ...
    imports: set[str] = field(default_factory=set)

    def add(self, statement: ast.stmt) -> None:
        """One more statement of the cell: what is bound before is not read from outside."""
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        self.reads |= set(_read(table)) - self.sure
        bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        self.imports |= {s.get_name() for s in table.get_symbols() if s.is_imported()}
        self.changes |= set(_changed(statement)) - self.sure
        self.binds |= bound
        if isinstance(statement, SURE):
            self.sure |= bound


def _read(table: symtable.SymbolTable) -> Iterator[str]:
    """Global names that a scope, or one within it, reads."""
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _read(inner)


def _changed(statement: ast.stmt) -> Iterator[str]:
    """Names whose objects a statement changes."""
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


@lru_cache(1_000)  # most cells of a class are alike
def names_of(source: str) -> Names | None:
    """The names in a cell's code, not to be changed; None where they cannot be told."""
    names = Names()
    if len(source) > MOST:
        return None
    try:
        for statement in _parse(source):
            names.add(statement)
    except (SyntaxError, ValueError, RuntimeError, MemoryError):  # too deep, or too many magics
        return None
    return None if names.reads & HIDDEN else names


def _parse(source: str) -> list[ast.stmt]:
    """The statements of a cell; none where it is no code, for IPython either."""
    try:
        return ast.parse(MAGIC.sub(r"\1pass", source)).body
    except SyntaxError:
        if len(source) > MOST_MAGIC:
            raise
    from IPython.core.inputtransformer2 import TransformerManager

    body = re.sub(r"\A\s*%%.*", "", source)
    try:
        return ast.parse(TransformerManager().transform_cell(body)).body
    except SyntaxError:
        return []


def needed(sources: Mapping[int, str], always: set[int]) -> set[int]:
    """Places of the cells to run: code by place, in order, and those that must run anyway.

    A name bound by a cell of `always` is looked for further up, too: such a cell may fail.
    """
    code = {place: names_of(source) for place, source in sources.items()}
    modules = set().union(*(names.imports for names in code.values() if names))
    kept: set[int] = set()
    wanted: set[str] = set()
    everything = False
    for place, names in reversed(code.items()):
        if names is None or everything:
            kept.add(place)
            everything = True  # it may read any name
            continue
        gives = names.binds | (names.changes - modules)
        if place in always or gives & wanted:
            kept.add(place)
            sure = set() if place in always else names.sure
            wanted = (wanted - sure) | names.reads | names.changes
    return kept
