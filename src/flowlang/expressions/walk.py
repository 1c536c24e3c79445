"""One pass over an expression: what it knows, finds, and leaves for the compiler."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Literal, Protocol

from flowlang.diagnostics import Text
from flowlang.expressions import codes, hints
from flowlang.expressions.narrowing import path_key
from flowlang.expressions.syntax import Expression, Problem
from flowlang.expressions.types import ANY, BOOLEAN, NUMERIC, Type, accepts, holds_secret
from flowlang.records import frozen

State = Literal["ready", "maybe", "later", "hidden"]


@frozen
class Binding:
    """What a root name means at a place.

    `label` names it in messages (``step `fetch` (8:11)``). `state`: "maybe" may have been skipped (`why` says by
    what, `remedy` how to mend it), "later" runs after this place, "hidden" may not be read here (`why` is the
    message). `depth` frames up and `slot` there is where the value stands at run time.
    """

    type: Type
    label: Text
    state: State = "ready"
    why: Text = ""
    remedy: str | None = None
    depth: int = 0
    slot: int = 0


class Names(Protocol):
    """What can be read at a place."""

    def lookup(self, name: str) -> Binding | None: ...

    def known(self) -> Iterable[tuple[str, str]]:
        """Every readable name and its label, for suggestions."""
        ...


@frozen
class Inference:
    """`reads` are the root names; `types`, `bindings` and `roots` (where a name is read from a frame) are what the
    compiler needs of the same pass. Those of a text with expressions in it stand in `parts`, one for each."""

    type: Type
    problems: tuple[Problem, ...] = ()
    reads: frozenset[str] = frozenset()
    secret: bool = False
    types: Mapping[ast.AST, Type] = field(default_factory=dict)
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    roots: Sequence[ast.Name] = ()
    parts: tuple[Inference, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether it may be compiled: problems that are only warnings do not stand in the way."""
        return not self.problems or all(each.severity != "error" for each in self.problems)


Rule = Callable[..., Type]

_CONVERSIONS = {"integer": "int", "number": "float", "decimal": "decimal", "string": "str", "boolean": "bool",
                "timestamp": "parse_time", "duration": "duration"}  # fmt: skip


class Walk:
    def __init__(
        self, expression: Expression, names: Names, present: frozenset[str], rules: Mapping[type, Rule]
    ) -> None:
        self.rules = rules
        self.expression = expression
        self.names = names
        self.present = present
        self.problems: list[Problem] = []
        self.types: dict[ast.AST, Type] = {}
        self.bindings: dict[str, Binding] = {}
        self.roots: list[ast.Name] = []
        self.variables: dict[str, Type] = {}
        self.secret = False

    def result(self, found: Type) -> Inference:
        self.secret = self.secret or holds_secret(found)
        if self.secret and not found.secret:
            found = replace(found, secret=True)
        return Inference(
            found,
            tuple(self.problems),
            frozenset(self.bindings),
            self.secret or found.secret,
            self.types,
            self.bindings,
            self.roots,
        )

    def text(self, node: ast.AST) -> str:
        """The source of `node`, shortened for a message."""
        start, end = self.expression.span_of(node)
        offset = self.expression.offset
        return hints.short(" ".join(self.expression.source[start - offset : end - offset].split()), 60)

    def report(self, code: str, node: ast.AST, message: str, **more: Any) -> None:
        start, end = self.expression.span_of(node)
        self.report_at(code, start, end, message, **more)

    def report_at(self, code: str, start: int, end: int, message: str, **more: Any) -> None:
        if any(each.start <= start and end <= each.end and each.severity == "error" for each in self.problems):
            return  # one root cause, one finding
        self.problems.append(Problem(code, message, start, end, **more))

    def type_of(self, node: ast.expr) -> Type:
        rule = self.rules.get(type(node))
        found = ANY if rule is None else rule(self, node)
        if found.secret:
            self.secret = True
        self.types[node] = found
        return found

    def assuming(self, facts: frozenset[str], node: ast.expr, run: Callable[[ast.expr], Type]) -> Type:
        before, self.present = self.present, self.present | facts
        try:
            return run(node)
        finally:
            self.present = before

    def solid(self, node: ast.expr, otherwise: str) -> Type:
        """The type of an operand that must not be null; `otherwise` is a value to suggest for null."""
        found = self.type_of(node)
        if found.kind == "null":
            self.report(codes.NULL_VALUE, node, "null cannot be used here")
            return ANY
        if found.nullable:
            if path_key(node) not in self.present:
                shown = self.text(node)
                fix = f"give it a value for that case: `default({shown}, {otherwise})`"
                self.report(codes.NULL_VALUE, node, f"`{shown}` may be null", suggestion=fix)
            return found.not_null()
        return found

    def test(self, node: ast.expr) -> Type:
        """A place that decides: only a boolean may stand there."""
        found = self.type_of(node)
        if found.kind in ("any", "boolean") and not (found.nullable and path_key(node) not in self.present):
            return found
        shown = self.text(node)
        if found.kind == "boolean":
            fix = f"say what null means: `default({shown}, false)`"
            self.report(codes.NULL_VALUE, node, f"`{shown}` may be null, a boolean is needed", suggestion=fix)
            return BOOLEAN
        by_kind = {"integer": f"{shown} != 0", "number": f"{shown} != 0", "decimal": f"{shown} != 0"}
        by_kind |= dict.fromkeys(("array", "object", "string"), f"len({shown}) > 0")
        mended = f"{shown} != null" if found.nullable else by_kind.get(found.kind)
        self.report(
            codes.NOT_BOOLEAN,
            node,
            f"a boolean is needed here, `{shown}` is {found}",
            suggestion=f"did you mean `{mended}`?" if mended else None,
        )
        return BOOLEAN

    def check_expected(self, node: ast.expr, found: Type, expected: Type) -> None:
        if path_key(node) in self.present:
            found = found.not_null()
        if accepts(expected, found):
            return
        shown = self.text(node)
        function = _CONVERSIONS.get(expected.kind)
        fix = f"`${{{function}({shown})}}`" if function and found.kind in ("string", *NUMERIC, "boolean") else None
        if found.nullable and accepts(expected, found.not_null()):
            message = f"{expected} is expected here, this expression may be null"
            fix = f"give it a value for that case: `${{default({shown}, …)}}`"
            self.report(codes.NULL_VALUE, node, message, suggestion=fix)
            return
        self.report(codes.MISMATCH, node, f"{expected} is expected here, this expression is {found}", suggestion=fix)
