"""Which part of which text failed, why, and what it read, told from a traceback without evaluating anything again."""

from __future__ import annotations

import ast
import decimal
import re
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from flowlang.diagnostics import nearest
from flowlang.expressions.lower import Mark, Where
from flowlang.expressions.runtime import UNSET, ExpressionError, SkippedRead, kind_of
from flowlang.expressions.unit import Evaluator, mark_at
from flowlang.records import frozen

_MOST_NOTES = 8
_MISSING = object()
_PYTHON_KINDS = {
    "NoneType": "null", "str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array",
    "tuple": "array", "dict": "object", "Decimal": "decimal", "decimal.Decimal": "decimal", "UUID": "uuid",
    "datetime.datetime": "timestamp", "datetime.date": "date", "datetime.time": "time",
    "datetime.timedelta": "duration", "_Unset": "nothing",
}  # fmt: skip


@frozen
class ExpressionFault:
    """`start` and `end` are offsets in the value of the scalar `where`; `where.locate(start, end)` is its span."""

    where: Where | None
    start: int
    end: int
    message: str
    notes: tuple[str, ...] = ()


def explain(evaluator: Evaluator, error: BaseException, frame: Any) -> ExpressionFault:
    """What `evaluator`, called with `frame`, failed at. `error` is the exception it raised, with its traceback."""
    found = _failing(evaluator, error)
    if found is None:
        return ExpressionFault(None, 0, 0, _generic(error))
    mark, python = found
    start, end = mark.part.expression.span_of(mark.node) if isinstance(error, ExpressionError) else _span(mark)
    reader = _Reader(mark, frame, python)
    return ExpressionFault(mark.part.where, start, end, _message(mark, error, reader), tuple(reader.notes()))


def _failing(evaluator: Evaluator, error: BaseException) -> tuple[Mark, FrameType] | None:
    scope: Any = getattr(evaluator, "__globals__", {})
    found = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals is scope and trace.tb_lineno is not None:
            found = trace
        trace = trace.tb_next
    mark = mark_at(evaluator, found.tb_lineno) if found is not None else None
    return (mark, found.tb_frame) if found is not None and mark is not None else None


def _span(mark: Mark) -> tuple[int, int]:
    """For a look-up the key alone, for anything else the whole part."""
    start, end = mark.part.expression.span_of(mark.node)
    if isinstance(mark.node, ast.Attribute):
        return end - len(mark.node.attr), end
    if isinstance(mark.node, ast.Subscript) and not isinstance(mark.node.slice, ast.Slice):
        return mark.part.expression.span_of(mark.node.slice)
    return start, end


def _source(mark: Mark, node: ast.AST) -> str:
    start, end = mark.part.expression.span_of(node)
    offset = mark.part.expression.offset
    text = " ".join(mark.part.expression.source[start - offset : end - offset].split())
    return text if len(text) <= 60 else text[:59] + "…"


def _message(mark: Mark, error: BaseException, reader: _Reader) -> str:
    if isinstance(error, SkippedRead):
        return f"`{_source(mark, mark.node)}` has no value: the step that gives it did not run"
    if isinstance(error, ExpressionError):
        return str(error)
    node = mark.node
    if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(error, LookupError | TypeError):
        return _look_up(mark, node, error, reader)
    return _generic(error)


def _look_up(mark: Mark, node: ast.Attribute | ast.Subscript, error: BaseException, reader: _Reader) -> str:
    base = _source(mark, node.value)
    key = _key(node)
    shown = "that key" if key is _MISSING else f"`{key}`" if isinstance(key, str) else f"item {key}"
    value = reader.value(node.value)
    if isinstance(error, KeyError):
        message = f"`{base}` has no {'key ' if isinstance(key, str) else ''}{shown}"
        known = [each for each in value if isinstance(each, str)] if type(value) is dict else []
        guess = nearest(key, known) if isinstance(key, str) and not reader.hides(node.value) else None
        return f"{message}; did you mean `{guess}`?" if guess else message
    if isinstance(error, IndexError):
        size = f", which has {len(value)}" if isinstance(value, (list, str)) else ""
        return f"{shown if key is not _MISSING else 'the item'} is beyond the end of `{base}`{size}"
    if "unhashable" in str(error):
        return f"`{_source(mark, node.slice) if isinstance(node, ast.Subscript) else base}` cannot be a key"
    if value is not _MISSING:
        kind = kind_of(value)
    else:
        found = re.match(r"'(\w+)' object is not subscriptable|(list|tuple|string|byte) ind", str(error))
        names = {"list": "array", "tuple": "array", "string": "string", "byte": "bytes"}
        kind = "" if found is None else _PYTHON_KINDS.get(found[1] or "", names.get(found[2] or "", found[1] or ""))
    if kind == "null":
        return f"`{base}` is null, so it has no {shown}"
    return (
        f"`{base}` is {kind}, so {shown} cannot be looked up in it"
        if kind
        else f"{shown} cannot be looked up in `{base}`"
    )


def _key(node: ast.Attribute | ast.Subscript) -> Any:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node.slice, ast.Constant):
        return node.slice.value
    if isinstance(node.slice, ast.UnaryOp) and isinstance(node.slice.operand, ast.Constant):
        return f"-{node.slice.operand.value!r}"
    return _MISSING


def _generic(error: BaseException) -> str:
    """An error of Python's in the words of flows. Its own text may hold data, so it is not repeated."""
    if isinstance(error, ExpressionError):
        return str(error)
    if isinstance(error, ZeroDivisionError | decimal.DivisionByZero):
        return "this divides by zero"
    if isinstance(error, OverflowError | decimal.Overflow):
        return "the result is too large"
    if isinstance(error, RecursionError):
        return "a value here is nested too deeply"
    if isinstance(error, MemoryError):
        return "the result does not fit into memory"
    if isinstance(error, decimal.DecimalException):
        return "this cannot be computed with decimals"
    kinds = [_PYTHON_KINDS.get(each, each) for each in re.findall(r"'([\w.]+)'", str(error))]
    if isinstance(error, TypeError) and "not supported between" in str(error) and len(kinds) >= 2:
        return f"cannot order {' and '.join(kinds[-2:])}"
    if isinstance(error, TypeError) and "unsupported operand" in str(error) and len(kinds) >= 2:
        return f"this cannot be computed with {' and '.join(kinds[-2:])}"
    if isinstance(error, TypeError) and "is not iterable" in str(error) and kinds:
        return f"nothing can be looked for in {kinds[0]}"
    if isinstance(error, TypeError) and "unhashable" in str(error) and kinds:
        return f"{kinds[0]} cannot be a key"
    if isinstance(error, TypeError) and "offset-naive" in str(error):
        return "a time with a zone and one without cannot be compared"
    if isinstance(error, ValueError) and "unpack" in str(error):
        return "an item of the list does not have as many parts as the comprehension names"
    return f"this failed with {type(error).__name__}"


class _Reader:
    """Reads what the paths of an expression led to, from the frame and the locals of the failed call."""

    def __init__(self, mark: Mark, frame: Any, python: FrameType) -> None:
        self.mark = mark
        self.frame = frame
        self.locals = python.f_locals

    def value(self, node: ast.AST) -> Any:
        """The value at the path `node`; `_MISSING` when it is no path, or leads nowhere."""
        if isinstance(node, ast.Name):
            return self._root(node.id)
        if isinstance(node, ast.Attribute):
            key: Any = node.attr
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            key = node.slice.value
        else:
            return _MISSING
        base = self.value(node.value)
        try:
            return base[key] if type(base) in (dict, list, str) else _MISSING
        except (LookupError, TypeError):
            return _MISSING

    def _root(self, name: str) -> Any:
        local = self.mark.variables.get(name)
        if local is not None:
            return self.locals.get(local, _MISSING)
        binding = self.mark.part.bindings.get(name)
        if binding is None:
            return _MISSING
        value = self.frame
        for key in (*(0,) * binding.depth, binding.slot):
            if type(value) is not list or key >= len(value):
                return _MISSING
            value = value[key]
        return value

    def hides(self, node: ast.AST) -> bool:
        """Whether the value of `node` must not be shown: nothing is, of an expression that reads a secret."""
        return self.mark.part.secret

    def notes(self) -> Iterator[str]:
        seen: set[str] = set()
        for node in _paths(self.mark.part.expression.tree):
            text = _source(self.mark, node)
            value = self.value(node)
            if value is _MISSING or text in seen:
                continue
            seen.add(text)
            yield f"`{text}` is {'***' if self.hides(node) else shown(value)}"
            if len(seen) == _MOST_NOTES:
                return


def _paths(tree: ast.AST) -> Iterator[ast.AST]:
    """The longest paths in `tree`, from left to right."""
    if isinstance(tree, ast.Name) or (isinstance(tree, ast.Attribute | ast.Subscript) and _is_path(tree)):
        yield tree
        return
    for child in ast.iter_child_nodes(tree):
        target = isinstance(tree, ast.comprehension) and child is tree.target
        if not target and not (isinstance(tree, ast.Call) and child is tree.func):
            yield from _paths(child)


def _is_path(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute) or (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)):
        node = node.value
    return isinstance(node, ast.Name)


def shown(value: object) -> str:
    """`value` in a few words: never a whole list or object."""
    if value is None or value is UNSET:
        return "null" if value is None else "not there (its step did not run)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:59] + "…")
    if isinstance(value, int):
        return str(value) if value.bit_length() < 200 else "a very large integer"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        names = [str(each) for each in list(value)[:5] if isinstance(each, str)]
        return f"an object with {len(value)} keys" + (
            f" ({', '.join(names)}{', …' if len(value) > 5 else ''})" if names else ""
        )
    if isinstance(value, (list, tuple)):
        return f"an array of {len(value)}"
    if isinstance(value, decimal.Decimal):
        return str(value)[:60]
    kind = kind_of(value)
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
