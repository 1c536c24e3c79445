"""What stands inside `${…}` as data: templates, expressions and the problems found in them.

Offsets count characters from 0 in the value of the YAML scalar that the expression stands in.
"""

from __future__ import annotations

import ast

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


@frozen
class Expression:
    """A parsed and allowed expression. `source` begins at `offset` of the scalar's value; `tree` is a
    whitelisted Python tree whose nodes have `start`/`end` looked up through `span_of`."""

    source: str
    offset: int
    tree: ast.expr
    columns: tuple[int, ...] | None = None  # byte column -> character column, None when all is ASCII
    path: tuple[str, ...] | None = None  # its root and keys, when it is `a.b.c` and nothing else

    def span_of(self, node: ast.AST) -> tuple[int, int]:
        """The offsets of `node` in the scalar's value (a one-line expression by construction)."""
        start = self._character(getattr(node, "col_offset", 0))
        end = self._character(getattr(node, "end_col_offset", len(self.source)))
        return self.offset + start, self.offset + end

    def _character(self, column: int) -> int:
        if self.columns is None:
            return max(0, min(column, len(self.source)))
        return self.columns[max(0, min(column, len(self.columns) - 1))]


@frozen
class Template:
    """A scalar's text: literal parts and expressions in order."""

    parts: tuple[str | Expression, ...]

    @property
    def whole(self) -> Expression | None:
        """The expression when the scalar is exactly one `${…}`."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self.parts[0]
        return None

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expression))
