"""Which paths a condition proves to be there and not null, so that what it guards is not reported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def path_key(node: ast.expr) -> str | None:
    """One text for one path: `a.b`, `a["b"]` and `a['b']` are the same; None for what is no path."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = path_key(node.value)
        return f"{base}\n{node.attr}" if base else None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        base = path_key(node.value)
        key = node.slice.value
        return f"{base}\n{key if isinstance(key, str) else f'[{key!r}]'}" if base else None
    return None


def _with_prefixes(node: ast.expr) -> Iterator[str]:
    key = path_key(node)
    while key:
        yield key
        key = key.rpartition("\n")[0]


def proven(node: ast.expr, outcome: bool) -> frozenset[str]:
    """The keys of the paths that are there and not null when `node` came out as `outcome`."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return proven(node.operand, not outcome)
    if isinstance(node, ast.BoolOp):
        if isinstance(node.op, ast.And) is outcome:
            return frozenset().union(*(proven(each, outcome) for each in node.values))
        return frozenset()
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "has"
        and outcome
        and node.args
    ):
        return frozenset(_with_prefixes(node.args[0]))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _compared(node.left, node.ops[0], node.comparators[0], outcome)
    return frozenset()


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr, outcome: bool) -> frozenset[str]:
    if isinstance(operator, _ORDER):
        return frozenset((*_with_prefixes(left), *_with_prefixes(right)))
    if isinstance(left, ast.Constant):
        left, right = right, left
    if not isinstance(right, ast.Constant):
        return frozenset()
    differs = isinstance(operator, ast.NotEq)
    if not differs and not isinstance(operator, ast.Eq):
        return frozenset()
    # `x != null` that held, and `x == 3` that held, both say that x is not null
    if (right.value is None) is (differs is outcome):
        return frozenset(_with_prefixes(left))
    return frozenset()
