"""Calls that fail on every run, because of what is written out in them: found by making them before the run."""

from __future__ import annotations

import ast
import datetime
from typing import Any, cast

from flowlang.expressions import codes
from flowlang.expressions.durations import nearest_duration
from flowlang.expressions.functions import Function
from flowlang.expressions.patterns import reason
from flowlang.expressions.runtime import ExpressionError, Work
from flowlang.expressions.walk import Walk

_READERS = frozenset(
    "int float decimal bool duration parse_time format_time from_json base64 matches split replace hash ident".split()
)
_SAMPLES: dict[str, object] = dict.fromkeys(("matches", "split", "replace", "hash"), "")
_SAMPLES["format_time"] = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
"""What stands in for a first argument that is not known, where the others decide alone whether the call can work."""

_ENOUGH = 2_000  # characters of a literal that are still tried


def check(walk: Walk, node: ast.Call, function: Function) -> None:
    """Report `node`, whose arguments have the right types, when their values can never work."""
    if function.name not in _READERS or node.keywords or not node.args:
        return
    values = [_literal(each) for each in node.args]
    if values[0] is _UNKNOWN and function.name in _SAMPLES:
        values[0] = _SAMPLES[function.name]
    if any(each is _UNKNOWN for each in values) or len(walk.expression.source) > _ENOUGH:
        return
    try:
        function.call(*([Work(cast("Any", None))] if function.work else []), *values)
    except ExpressionError as error:
        _report(walk, node, function, str(error))
    except Exception:  # noqa: BLE001 - the function meets the same value at run time, and its failure is told there
        return


_UNKNOWN = object()


def _literal(node: ast.expr) -> Any:
    """The value of a constant or of a list of them."""
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, (str, int, float))):
        return node.value
    if isinstance(node, ast.List):
        items = [_literal(each) for each in node.elts]
        return _UNKNOWN if any(each is _UNKNOWN for each in items) else items
    return _UNKNOWN


def _report(walk: Walk, node: ast.Call, function: Function, message: str) -> None:
    last = node.args[-1]
    if function.name == "matches" and isinstance(last, ast.Constant) and isinstance(last.value, str):
        said = f"{walk.text(last)} cannot be a pattern: {reason(last.value)}"
        walk.report(codes.BAD_PATTERN, last, said, suggestion=codes.PATTERN_HELP)
        return
    at = last if len(node.args) > 1 else node.args[0]
    suggestion = None
    if function.name == "duration" and isinstance(at, ast.Constant) and isinstance(at.value, str):
        close = nearest_duration(at.value)
        suggestion = f"did you mean `{close}`?" if close else None
    walk.report(codes.ALWAYS_FAILS, at, f"this fails on every run: {message}", suggestion=suggestion)
