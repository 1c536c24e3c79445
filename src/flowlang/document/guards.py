"""Conditions: `if`, `elif` and the groups `any`, `all`, `none`."""

from __future__ import annotations

from typing import Literal

from flowlang.diagnostics import Span
from flowlang.document import codes
from flowlang.document.context import Context
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.findings import meant, replacing
from flowlang.document.model import Condition, ConditionGroup, Guard
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence

_GROUPS: tuple[Literal["any", "all", "none"], ...] = ("any", "all", "none")
_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def read_guard(context: Context, key: str, node: Node) -> Guard:
    """A condition. One that cannot be made is reported, and has an unknown value."""
    if isinstance(node, Mapping):
        return _group(context, key, node)
    if isinstance(node, Sequence):
        wrong_type(context, key, node, "a condition", "say how they belong together: `{all: […]}` or `{any: […]}`")
        return unknown_guard(context, node.span)
    if node.value is None or (node.value is not node.text and not isinstance(node.value, bool)):
        wrong_type(context, key, node, "a condition")
        return unknown_guard(context, node.span)
    word = _WORDS.get(node.text.lower()) if node.style == "plain" else None
    if word:
        message = f'`{key}` expects a condition; YAML 1.2 reads `{node.text}` as the text "{node.text}"'
        context.findings.add(
            codes.WRONG_TYPE, message, node.span, meant(word), fix=replacing(node.span, word, safe=True)
        )
        return unknown_guard(context, node.span)
    return Condition(context.condition(node), node, node)


def _group(context: Context, key: str, node: Mapping) -> Guard:
    fields = Fields(context, node, "a condition", _GROUPS)
    kinds = [each for each in _GROUPS if each in fields]
    if not kinds:
        if not node.entries:
            wrong_type(context, key, node, "a condition")
        return unknown_guard(context, node.span)
    if len(kinds) > 1:
        message = f"a condition has one of `any`, `all`, `none`; this one has `{kinds[0]}` and `{kinds[1]}`"
        context.findings.add(codes.SEVERAL_VERBS, message, fields.span(kinds[1]), "put one inside the other's list")
    members = tuple(read_guard(context, kinds[0], each) for each in fields.items(kinds[0]))
    if not members and isinstance(fields.node(kinds[0]), Sequence):
        context.findings.add(codes.WRONG_TYPE, f"`{kinds[0]}` has no conditions", fields.span(kinds[0]))
    return ConditionGroup(kinds[0], members, node)


def unknown_guard(context: Context, span: Span) -> Condition:
    """A condition of unknown value, in place of one that cannot be made."""
    scalar = Scalar("", "", "plain", context.source, 0, 0)
    value = context.broken(span, scalar)
    return Condition(value.template.expressions[0], span, scalar)
