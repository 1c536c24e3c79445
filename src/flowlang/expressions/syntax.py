"""What stands inside `${…}` as data: templates, expressions and the problems found in them.

Offsets count characters from 0 in the value of the YAML scalar that the expression stands in.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from flowlang.records import frozen


@frozen
class Problem:
    """Something wrong with an expression, at offsets `start` to `end` of its scalar's value."""

    code: str
    message: str
    start: int
    end: int
    notes: tuple[str, ...] = ()
    suggestion: str | None = None
    replacement: str | None = None  # the text that would mend it in place of start..end
    severity: str = "error"


# Not frozen: the tree is put in when it is asked for. Nothing else writes to it after the parser.
@dataclass(slots=True, eq=False)
class Expression:
    """A parsed and allowed expression. `source` begins at `offset` of the scalar's value.

    `path` has its root and keys when it is `a.b.c` and nothing else, as most are. The tree of a path is made when it
    is asked for, and hardly ever is: what there is to know of a path can be told from its keys.
    """

    source: str
    offset: int
    parsed: ast.expr | None
    columns: tuple[int, ...] | None = None  # byte column -> character column, None when all is ASCII
    path: tuple[str, ...] | None = None

    @property
    def tree(self) -> ast.expr:
        """A whitelisted Python tree, whose nodes have their place in the source: see `span_of`."""
        if self.parsed is None:
            self.parsed = _path_tree(self.path or ())
        return self.parsed

    def span_of(self, node: ast.AST) -> tuple[int, int]:
        """The offsets of `node` in the scalar's value (a one-line expression by construction)."""
        start = self._character(getattr(node, "col_offset", 0))
        end = self._character(getattr(node, "end_col_offset", len(self.source)))
        return self.offset + start, self.offset + end

    def end_of(self, node: ast.expr) -> int:
        """Where `node` ends in `source`."""
        return self._character(node.end_col_offset or 0)

    def _character(self, column: int) -> int:
        if self.columns is None:
            return max(0, min(column, len(self.source)))
        return self.columns[max(0, min(column, len(self.columns) - 1))]


_LOAD = ast.Load()


def _path_tree(path: tuple[str, ...]) -> ast.expr:
    root, *keys = path
    end = len(root)
    tree: ast.expr = ast.Name(root, _LOAD, lineno=1, col_offset=0, end_lineno=1, end_col_offset=end)
    for key in keys:
        end += len(key) + 1
        tree = ast.Attribute(tree, key, _LOAD, lineno=1, col_offset=0, end_lineno=1, end_col_offset=end)
    return tree


@frozen
class Template:
    """A scalar's text: literal parts and expressions in order."""

    parts: tuple[str | Expression, ...]

    @property
    def whole(self) -> Expression | None:
        """The expression when the scalar is exactly one `${…}`."""
        parts = self.parts
        first = parts[0] if len(parts) == 1 else None
        return first if isinstance(first, Expression) else None

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple([part for part in self.parts if isinstance(part, Expression)])
