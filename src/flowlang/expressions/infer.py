"""The type of an expression before the run, and what is certainly wrong with it.

Unknown is `any` and is never reported. Everything an expression reads taints it: its type is secret when a root
or a field it touches is.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from flowlang.expressions import call_rules, codes, operator_rules, path_rules
from flowlang.expressions.narrowing import path_key
from flowlang.expressions.syntax import Expression, Template
from flowlang.expressions.types import ANY, BOOLEAN, STRING, Type, holds_secret
from flowlang.expressions.walk import Binding, Inference, Names, Rule, Walk

_RULES: dict[type, Rule] = {
    ast.Name: path_rules.name,
    ast.Attribute: path_rules.attribute,
    ast.Subscript: path_rules.subscript,
    ast.Constant: operator_rules.constant,
    ast.BinOp: operator_rules.binary,
    ast.UnaryOp: operator_rules.unary,
    ast.BoolOp: operator_rules.logic,
    ast.Compare: operator_rules.compare,
    ast.IfExp: operator_rules.choice,
    ast.List: operator_rules.list_display,
    ast.Dict: operator_rules.dict_display,
    ast.ListComp: operator_rules.comprehension,
    ast.DictComp: operator_rules.comprehension,
    ast.GeneratorExp: operator_rules.comprehension,
    ast.Call: call_rules.call,
}


def infer(
    expression: Expression, names: Names, *, expected: Type | None = None, present: frozenset[str] = frozenset()
) -> Inference:
    """The type of `expression` where `names` can be read.

    `expected`: what its place wants, reported when it cannot fit. `present`: keys of paths (`narrowing.proven`)
    that a condition around this place has shown to be there.
    """
    plain = _plain_path(expression, names) if expected is None else None
    if plain is not None:
        return plain
    walk = Walk(expression, names, present, _RULES)
    found = walk.type_of(expression.tree)
    if expected is not None and not walk.problems:
        walk.check_expected(expression.tree, found, expected)
    return walk.result(found)


def _plain_path(expression: Expression, names: Names) -> Inference | None:
    """What the walk would find out about a path with nothing to say about it, which most are, at a tenth of its
    price; None when there may be something."""
    path = expression.path
    binding = names.lookup(path[0]) if path is not None else None
    if path is None or binding is None or binding.state != "ready":
        return None
    found = binding.type
    for key in path[1:]:
        if found.secret or found.nullable or found.kind not in ("object", "any"):
            return None
        if found.kind == "any":
            continue
        fields = found.fields
        inner = fields.get(key) if fields is not None and key not in found.partial else None
        if inner is None:
            if fields is not None and (not found.open or key in found.partial):
                return None
            inner = found.items or ANY
        found = inner
    if found.secret or holds_secret(found):
        return None
    return Inference(found, (), _alone(path[0]), False, _NO_TYPES, {path[0]: binding})


@lru_cache(maxsize=1024)
def _alone(name: str) -> frozenset[str]:
    return frozenset((name,))


_NO_TYPES: Mapping[ast.AST, Type] = {}


def infer_condition(expression: Expression, names: Names, *, present: frozenset[str] = frozenset()) -> Inference:
    """Like `infer`; the expression must be a boolean."""
    plain = _plain_path(expression, names)
    if plain is not None and plain.type.kind in ("boolean", "any") and not plain.type.nullable:
        return replace(plain, type=BOOLEAN)
    walk = Walk(expression, names, present, _RULES)
    walk.test(expression.tree)
    return walk.result(BOOLEAN)


def infer_template(
    template: Template, names: Names, *, expected: Type | None = None, present: frozenset[str] = frozenset()
) -> Inference:
    """The type of a scalar: that of its expression when it is exactly one, else text."""
    whole = template.whole
    if whole is not None:
        return infer(whole, names, expected=expected, present=present)
    parts = [_infer_part(each, names, present) for each in template.expressions]
    secret = any(each.secret for each in parts)
    return Inference(
        replace(STRING, secret=True) if secret else STRING,
        tuple([problem for each in parts for problem in each.problems]),
        _NOTHING.union(*[each.reads for each in parts]),
        secret,
        parts=tuple(parts),
    )


_NOTHING: frozenset[str] = frozenset()
_NOT_TEXT = frozenset({"null", "bytes", "array", "object", "stream"})


def _infer_part(expression: Expression, names: Names, present: frozenset[str]) -> Inference:
    plain = _plain_path(expression, names)
    if plain is not None and plain.type.kind not in _NOT_TEXT and not plain.type.nullable:
        return plain
    walk = Walk(expression, names, present, _RULES)
    found = walk.type_of(expression.tree)
    shown = walk.text(expression.tree)
    if found.kind in _NOT_TEXT:
        fix = None if found.kind in ("stream", "null") else f"did you mean `${{json({shown})}}`?"
        walk.report(codes.NOT_TEXT, expression.tree, f"{_article(found)} cannot be put into text", suggestion=fix)
    elif found.nullable and path_key(expression.tree) not in present:
        message = f"`{shown}` may be null, which cannot be put into text"
        fix = f"give it a value for that case: `${{default({shown}, '…')}}`"
        walk.report(codes.NULL_VALUE, expression.tree, message, suggestion=fix, severity="warning")
    return walk.result(found)


def _article(given: Type) -> str:
    return f"{'an' if given.kind[0] in 'aeiou' else 'a'} {given}" if given.kind != "null" else "null"


__all__ = ["Binding", "Inference", "Names", "infer", "infer_condition", "infer_template"]
