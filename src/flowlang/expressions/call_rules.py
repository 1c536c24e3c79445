"""The types of calls, and what is wrong with their arguments."""

from __future__ import annotations

import ast
from typing import Any

from flowlang.diagnostics import nearest
from flowlang.expressions import codes, hints, literal_calls
from flowlang.expressions.functions import FUNCTIONS, Function
from flowlang.expressions.narrowing import path_key
from flowlang.expressions.operator_rules import one_order
from flowlang.expressions.path_rules import base_type
from flowlang.expressions.types import ANY, Type, accepts, holds_secret
from flowlang.expressions.walk import Walk


def call(walk: Walk, node: ast.Call) -> Type:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    function = FUNCTIONS.get(name)
    if function is None:
        for each in (*node.args, *(keyword.value for keyword in node.keywords)):
            walk.type_of(each)
        guess = hints.FUNCTION_WORDS.get(name) or nearest(name, FUNCTIONS)
        fix = f"did you mean `{guess}`?" if guess else "the functions are listed by `flowlang explain functions`"
        walk.report(
            codes.UNKNOWN_FUNCTION, node.func, f"there is no function `{name}`", suggestion=fix, replacement=guess
        )
        return ANY
    given = _arguments(walk, node, function)
    if given is not None:
        literal_calls.check(walk, node, function)
        if name in ("min", "max") or (name == "sorted" and len(node.args) == 1 and not node.keywords):
            alone = node.args[0] if len(node.args) == 1 else None
            one_order(walk, name, alone.elts if isinstance(alone, ast.List) else node.args)
        walk.secret = walk.secret or any(map(holds_secret, given))
        if name == "str":
            _as_text(walk, node, given)
        if name == "default" and _certain(walk, node.args[0], given[0]):
            return given[0]
    return ANY if given is None else function.returned(given)


def _as_text(walk: Walk, node: ast.Call, given: list[Type]) -> None:
    """`str` is for what can be put into text."""
    found, shown = given[0], walk.text(node.args[0]) if node.args else ""
    if not node.args or (found.nullable and path_key(node.args[0]) in walk.present):
        return
    if found.kind in ("object", "array"):
        fix = f"did you mean `json({shown})`?"
        walk.report(codes.MISMATCH, node.args[0], f"`str` makes no text of {found}", suggestion=fix)
    elif found.kind == "null" or found.nullable:
        fix = f"give it a value for that case: `default({shown}, …)`"
        walk.report(
            codes.NULL_VALUE, node.args[0], f"`{shown}` may be null, of which `str` makes no text", suggestion=fix
        )


def _certain(walk: Walk, node: ast.expr, found: Type) -> bool:
    """Whether `node` is there on every run, so that what else it could be does not matter."""
    if found.kind in ("any", "null") or found.nullable:
        return False
    if isinstance(node, ast.Name):
        binding = walk.bindings.get(node.id)
        return node.id in walk.variables or (binding is not None and binding.state == "ready")
    if isinstance(node, ast.Attribute):
        base = walk.types.get(node.value, ANY)
        there = base.fields is not None and node.attr in base.fields and node.attr not in base.partial
        return there and _certain(walk, node.value, base)
    return not isinstance(node, ast.Subscript)


def _arguments(walk: Walk, node: ast.Call, function: Function) -> list[Type] | None:
    """The types of the arguments in the order of the parameters; None when they do not fit."""
    by_name = {each.name: each for each in function.parameters if not each.variadic and not function.lazy}
    positional = list(function.parameters)
    matched = []
    taken: set[str] = set()
    fits = True
    for at, argument in enumerate(node.args):
        last = positional[-1] if positional else None
        target = positional[at] if at < len(positional) else last if last is not None and last.variadic else None
        found = base_type(walk, argument, function.lazy and at == 0)
        if target is None:
            most = len(positional)
            walk.report(codes.ARGUMENTS, argument, f"`{function.name}` takes {most} argument{'s' * (most != 1)}",
                        notes=(f"`{function.signature}`",))  # fmt: skip
            fits = False
            continue
        taken.add(target.name)
        matched.append(_fitting(walk, argument, found, target, function, at))
    for keyword in node.keywords:
        found = walk.type_of(keyword.value)
        target = by_name.get(keyword.arg or "")
        if target is None or target.name in taken:
            said = "is given twice" if target else "is not one of its arguments"
            guess = nearest(keyword.arg or "", by_name)
            walk.report(codes.ARGUMENTS, keyword, f"`{function.name}`: `{keyword.arg}` {said}", notes=(f"`{function.signature}`",),  # noqa: E501
                        suggestion=f"did you mean `{guess}`?" if guess and not target else None)  # fmt: skip
            fits = False
            continue
        taken.add(target.name)
        matched.append(_fitting(walk, keyword.value, found, target, function, 1))
    missing = [each.name for each in function.parameters if not each.optional and each.name not in taken]
    if missing and fits:
        shown = " and ".join(f"`{each}`" for each in missing)
        walk.report(codes.ARGUMENTS, node, f"`{function.name}` needs {shown}", notes=(f"`{function.signature}`",))
        return None
    return matched if fits else None


_PLAIN = ("integer", "number", "decimal", "boolean", "timestamp", "date", "time", "duration", "uuid")
_CONVERSIONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("string", _PLAIN, "str({})"),
    ("string", ("array",), "join({}, ', ')"),
    ("string", ("object",), "json({})"),
    ("number", ("string",), "float({})"),
    ("integer", ("string", "number", "decimal"), "int({})"),
    ("timestamp", ("string",), "parse_time({})"),
    ("duration", ("string", "integer", "number"), "duration({})"),
    ("array", ("object",), "values({})"),
    ("array", ("string",), "split({}, ',')"),
)
"""What is needed, what is there, and the call that makes the one of the other."""


def _converted(shown: str, found: Type, target: Any) -> str | None:
    wanted = [each.kind for each in target.types]
    fitting = (call for kind, given, call in _CONVERSIONS if kind in wanted and found.kind in given)
    call = next(fitting, None)
    return call.format(shown) if call else None


def _fitting(walk: Walk, node: ast.expr, found: Type, target: Any, function: Function, at: int) -> Type:
    if any(accepts(each, found) for each in target.types) or (function.lazy and at == 0):
        return found
    wanted = " or ".join(str(each) for each in target.types)
    shown = walk.text(node)
    if found.nullable and any(accepts(each, found.not_null()) for each in target.types):
        if path_key(node) not in walk.present:
            fix = f"give it a value for that case: `default({shown}, …)`"
            walk.report(
                codes.NULL_VALUE, node, f"`{function.name}` needs {wanted}, `{shown}` may be null", suggestion=fix
            )
        return found.not_null()
    suggestion = "a stream is read by `for_each`, row by row" if found.kind == "stream" else None
    converted = None if suggestion else _converted(shown, found, target)
    suggestion = f"did you mean `{converted}`?" if converted else suggestion
    walk.report(codes.MISMATCH, node, f"`{function.name}` needs {wanted}, `{shown}` is {found}", suggestion=suggestion)
    return found
