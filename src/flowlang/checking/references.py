"""Which keys of a root an expression needs to be there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flowlang.expressions.syntax import Expression

_GUARDS = frozenset({"default", "has"})


def keys_of(expression: Expression, root: str) -> Iterator[tuple[str, ast.AST]]:
    """Each `root.key` that is read and must be there, with its place; one inside `default(…)` or `has(…)` need not."""
    waiting: list[ast.AST] = [expression.tree]
    while waiting:
        node = waiting.pop()
        key = _key(node, root)
        if key is not None:
            yield key, node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _GUARDS:
            waiting.extend(node.args[1:])
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _key(node: ast.AST, root: str) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == root:
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == root:
        index = node.slice
        if isinstance(index, ast.Constant) and isinstance(index.value, str):
            return index.value
    return None
