"""What the operators do to types."""

from __future__ import annotations

import ast

from flowlang.expressions.types import ANY, ARRAY, DURATION, INTEGER, NUMBER, NUMERIC, STRING, Type, array, union

VERBS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.FloorDiv: "divide",
    ast.Mod: "take the remainder of",
}
_TEXT = frozenset({"string", "identifier"})
_ORDERED = frozenset({"timestamp", "date", "time", "duration", "uuid", "array", "boolean", "bytes"})
_TIMES: dict[tuple[type[ast.operator], str, str], str] = {
    (ast.Add, "timestamp", "duration"): "timestamp",
    (ast.Add, "duration", "timestamp"): "timestamp",
    (ast.Add, "date", "duration"): "date",
    (ast.Add, "duration", "date"): "date",
    (ast.Add, "duration", "duration"): "duration",
    (ast.Sub, "timestamp", "timestamp"): "duration",
    (ast.Sub, "timestamp", "duration"): "timestamp",
    (ast.Sub, "date", "date"): "duration",
    (ast.Sub, "date", "duration"): "date",
    (ast.Sub, "duration", "duration"): "duration",
    (ast.Div, "duration", "duration"): "number",
    (ast.FloorDiv, "duration", "duration"): "integer",
    (ast.Mod, "duration", "duration"): "duration",
}


def arithmetic(operator: type[ast.operator], left: Type, right: Type) -> Type | None:
    """The type of `left operator right`; None when that can never be computed."""
    if left.kind == "any" or right.kind == "any":
        return ANY
    if left.kind in NUMERIC and right.kind in NUMERIC:
        return _numeric(operator, left.kind, right.kind)
    if operator is ast.Add and left.kind in _TEXT and right.kind in _TEXT:
        return STRING
    if operator is ast.Add and left.kind == right.kind == "array":
        return array(union(left.items, right.items)) if left.items and right.items else ARRAY
    kinds = {left.kind, right.kind}
    if "duration" in kinds and kinds & {"integer", "number"}:
        divided = operator in (ast.Div, ast.FloorDiv) and left.kind == "duration"
        return DURATION if operator is ast.Mult or divided else None
    known = _TIMES.get((operator, left.kind, right.kind))
    return Type(known) if known else None  # type: ignore[arg-type]


def _numeric(operator: type[ast.operator], left: str, right: str) -> Type | None:
    kinds = {left, right}
    if kinds == {"decimal", "number"}:
        return None
    if "decimal" in kinds:
        return Type("decimal")
    if operator is ast.Div:
        return NUMBER
    return INTEGER if kinds == {"integer"} else NUMBER


def can_order(left: Type, right: Type) -> bool:
    if left.kind == "any" or right.kind == "any":
        return True
    if left.kind in NUMERIC and right.kind in NUMERIC:
        return True
    if left.kind in _TEXT and right.kind in _TEXT:
        return True
    return left.kind == right.kind and left.kind in _ORDERED


def can_equal(left: Type, right: Type) -> bool:
    """Whether values of these types can ever be equal (null is compared apart)."""
    free = {"any", "null"}
    if left.kind in free or right.kind in free or left.kind == right.kind:
        return True
    numbers = NUMERIC | {"boolean"}  # true is 1 and false is 0
    return (left.kind in numbers and right.kind in numbers) or (left.kind in _TEXT and right.kind in _TEXT)


def can_hold(box: Type, item: Type) -> bool:
    """Whether `item in box` can be computed."""
    if box.kind == "any":
        return True
    if box.kind in _TEXT:
        return item.kind in _TEXT or item.kind == "any"
    return box.kind in ("array", "object")
