"""Expressions over result files, as the roles `{result}` and `{claim}` use them.

`file:key` is a value; a slash enters an object. `file:key[beta=1; sampler=ddim]` is from the row of
an experiment's table with these settings, `[lowest fd_ratio]` from the row at an extreme, and
`file:key[*]` lists the values of all rows. Between values: comparisons, `and`, `or`, `not`,
arithmetic and a few functions. No code is run.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

Read = Callable[[str], Mapping[str, Any]]  # of a result file by its name

VALUE = re.compile(r"([a-z]\w*):([a-z]\w*(?:/[\w.]+)*)(?:\[([^\]]*)\])?")
EXTREMES: Mapping[str, Callable[..., Any]] = {"lowest": min, "highest": max}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "falling": lambda values: _in_order(values, operator.gt),
    "max": max,
    "min": min,
    "rising": lambda values: _in_order(values, operator.lt),
    "sqrt": math.sqrt,
}
OPERATORS: Mapping[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def _in_order(values: Sequence[float], compare: Callable[[float, float], bool]) -> bool:
    if len(values) < 2:
        raise ValueError(f"an order needs two values, and the file has {len(values)}")
    return all(map(compare, values, values[1:]))


def evaluate(expression: str, read: Read) -> Any:
    """Return the value of an expression. Raises ValueError saying what is wrong with it."""
    found: dict[str, Any] = {}

    def name(match: re.Match[str]) -> str:
        found[f"value_{len(found)}"] = look_up(read(match[1]), match[1], match[2], match[3])
        return f"value_{len(found) - 1}"

    try:
        named = VALUE.sub(name, expression)
        return _calculate(ast.parse(named, mode="eval").body, found)
    except SyntaxError as error:
        raise ValueError(f"{expression!r} is not an expression: {error.msg}") from None
    except (TypeError, ArithmeticError) as error:
        raise ValueError(f"{expression!r} has no value: {error}") from None


def look_up(result: Mapping[str, Any], name: str, path: str, conditions: str | None) -> Any:
    """Return one value of a result file. Raises ValueError if it has no such row or key."""
    keys = path.split("/")
    try:
        if conditions == "*":
            return [reduce(operator.getitem, keys, row) for row in result["rows"]]
        source = result if conditions is None else choose_row(result["rows"], conditions)
        return reduce(operator.getitem, keys, source)
    except KeyError as error:
        raise ValueError(f"book/results/{name}.json has no key {error}") from None


def choose_row(rows: Sequence[Mapping[str, Any]], conditions: str) -> Mapping[str, Any]:
    """Return the only row that meets all conditions. Raises ValueError if there is not just one."""
    for condition in map(str.strip, conditions.split(";")):
        rows = _meeting(rows, condition)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} rows are [{conditions}], not one")
    return rows[0]


def _meeting(rows: Sequence[Mapping[str, Any]], condition: str) -> Sequence[Mapping[str, Any]]:
    key, _, wanted = condition.partition("=")
    if wanted:
        return [row for row in rows if written(row.get(key)) == wanted]
    extreme, _, key = condition.partition(" ")
    if extreme not in EXTREMES or not all(key in row for row in rows):
        raise ValueError(f"the condition {condition!r} has an unknown key or extreme")
    return [EXTREMES[extreme](rows, key=operator.itemgetter(key))] if rows else []


def written(value: Any) -> str:
    """Return a setting as it is written on a page: 0.01, 100, ddim."""
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def _calculate(node: ast.expr, found: Mapping[str, Any]) -> Any:
    def of(part: ast.expr) -> Any:
        return _calculate(part, found)

    match node:
        case ast.Constant(value=int() | float() as value) if type(value) is not bool:
            return value
        case ast.Name(id=name) if name in found:
            return found[name]
        case ast.UnaryOp(op=sign, operand=part) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](of(part))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](of(left), of(right))
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(map(of, parts))
        case ast.BoolOp(op=ast.Or(), values=parts):
            return any(map(of, parts))
        case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](of(left), of(right))
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](*map(of, parts))
    raise ValueError(f"{ast.unparse(node)!r} is not allowed in an expression")
