"""The types of names, keys and items, and what is wrong with a path."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace

from flowlang.diagnostics import nearest
from flowlang.expressions import codes
from flowlang.expressions.functions import FUNCTIONS
from flowlang.expressions.narrowing import path_key
from flowlang.expressions.types import ANY, STRING, Type, accepts
from flowlang.expressions.walk import Binding, Walk

_ROOTS = frozenset({"inputs", "vars", "run", "env", "secrets", "error"})


def name(walk: Walk, node: ast.Name, soft: bool = False) -> Type:
    if node.id in walk.variables:
        return walk.variables[node.id]
    binding = walk.bindings.get(node.id) or walk.names.lookup(node.id)
    if binding is None:
        _unknown_root(walk, node)
        return ANY
    walk.bindings[node.id] = binding
    walk.roots.append(node)
    if binding.state != "ready":
        _not_ready(walk, node, binding, soft)
    return replace(ANY, secret=binding.type.secret) if binding.state == "hidden" else binding.type


def _not_ready(walk: Walk, node: ast.Name, binding: Binding, soft: bool) -> None:
    if binding.state == "hidden":
        why = str(binding.why) or f"`{node.id}` cannot be read here"
        walk.report(codes.HIDDEN, node, why, suggestion=binding.remedy)
    elif binding.state == "later":
        message = f"{binding.label} runs later, so it has no value here" + (f" ({binding.why})" if binding.why else "")
        walk.report(codes.LATER, node, message, suggestion=binding.remedy or "move the step that reads it below")
    elif not soft and node.id not in walk.present:
        message = f"{binding.label} may be skipped" + (f" ({binding.why})" if binding.why else "")
        path = _path_at(walk, node)
        instead = f"`${{default({path}, {'{}' if path == node.id else '…'})}}`"
        fix = f"{binding.remedy}, or read it as {instead}" if binding.remedy else f"read it as {instead}"
        walk.report(codes.MAYBE, node, message, suggestion=fix)


_KEYS = re.compile(r"(?:\.\w+|\[[^\[\]]*\])*")


def _path_at(walk: Walk, node: ast.Name) -> str:
    """The path that begins with `node`, as it is written; of a step that is read as a whole, its id."""
    start, end = (each - walk.expression.offset for each in walk.expression.span_of(node))
    source = walk.expression.source
    keys = "".join(_KEYS.findall(source, end)[:1])
    return source[start:end] + keys if keys and source.startswith(keys, end) else node.id


def _unknown_root(walk: Walk, node: ast.Name) -> None:
    name = node.id
    known = dict(walk.names.known())
    labels = {**known, **{each: f"`{each}`" for each in walk.variables}}
    if _hyphenated(walk, node, labels):
        return
    if name in _ELSEWHERE and not any(name in (_fields(walk, root) or ()) for root in ("inputs", "vars")):
        _only_elsewhere(walk, node, known)
        return
    parent = next((root for root in ("inputs", "vars") if name in (_fields(walk, root) or ())), None)
    if name in ("none", "nil", "NULL", "Null", "undefined", "TRUE", "FALSE"):
        plain = name.lower() if name.lower() in ("true", "false") else "null"
        walk.report(
            codes.UNKNOWN_NAME, node, f"unknown root `{name}`", suggestion=f"did you mean `{plain}`?", replacement=plain
        )
        return
    guess = f"{parent}.{name}" if parent else nearest(name, labels)
    suggestion = f"did you mean {_named(guess, labels)}?" if guess else None
    if guess is None and name in FUNCTIONS:
        suggestion = f"`{name}` is a function: call it as `{FUNCTIONS[name].signature}`"
    if guess in _ROOTS or parent:
        message = f"unknown root `{name}`"
    else:
        message = f"no step, input root or loop variable named `{name}`"
    walk.report(
        codes.UNKNOWN_NAME, node, message, notes=(_roots_note(known),), suggestion=suggestion, replacement=guess
    )


_ELSEWHERE = {
    "error": "`error` can be read in a handler: in `on_error`, or in `catch`",
    "item": "`item` is the item of a `for_each` without `as`, and can be read in its `do` and `collect`",
    "index": "`index` counts the turns of a loop, and can be read in its `do`",
}


def _only_elsewhere(walk: Walk, node: ast.Name, known: Mapping[str, str]) -> None:
    """A name that the language gives, at a place where it does not."""
    kind = "error variable" if node.id == "error" else "loop variable"
    guess = (
        next((name for name, label in known.items() if label.startswith(kind)), None) if node.id != "index" else None
    )
    suggestion = f"did you mean {_named(guess, known)}?" if guess else None
    note = _ELSEWHERE[node.id]
    message = f"there is no `{node.id}` here"
    walk.report(codes.UNKNOWN_NAME, node, message, notes=(note,), suggestion=suggestion, replacement=guess)


def _fields(walk: Walk, root: str) -> Mapping[str, Type] | None:
    binding = walk.names.lookup(root)
    return binding.type.fields if binding is not None else None


def _named(name: str, labels: Mapping[str, str]) -> str:
    label = labels.get(name, "")
    return label if f"`{name}`" in label else f"`{name}`"


def _roots_note(known: Mapping[str, str]) -> str:
    roots = [name for name in known if name in _ROOTS]
    others = [name for name in known if name not in _ROOTS]
    if len(others) > 5:
        return f"roots here: {', '.join(roots)}, and {len(others)} step ids and variables"
    return f"roots here: {', '.join([*roots, *others]) or 'none'}"


def _hyphenated(walk: Walk, node: ast.Name, labels: Mapping[str, str]) -> bool:
    """`fetch-user.data`, where `-` was meant as part of a name."""
    source, offset = walk.expression.source, walk.expression.offset
    start, end = (each - offset for each in walk.expression.span_of(node))
    while start > 0 and (source[start - 1].isalnum() or source[start - 1] in "_-"):
        start -= 1
    while end < len(source) and (source[end].isalnum() or source[end] in "_-"):
        end += 1
    word = source[start:end]
    if "-" not in word.strip("-"):
        return False
    guess = nearest(word.replace("-", "_"), labels)
    if guess is None:
        return False
    walk.report_at(
        codes.UNKNOWN_NAME,
        start + offset,
        end + offset,
        f"`-` is minus in expressions: `{word}` would subtract",
        suggestion=f"did you mean {_named(guess, labels)}?",
        replacement=guess,
    )
    return True


def attribute(walk: Walk, node: ast.Attribute, soft: bool = False) -> Type:
    return _member(walk, node, base_type(walk, node.value, soft), node.attr, soft)


def base_type(walk: Walk, node: ast.expr, soft: bool) -> Type:
    if soft:
        rule = {ast.Name: name, ast.Attribute: attribute, ast.Subscript: subscript}.get(type(node))
        if rule is not None:
            found: Type = rule(walk, node, True)  # type: ignore[operator]
            walk.types[node] = found
            walk.secret = walk.secret or found.secret
            return found
    return walk.type_of(node)


def _key_span(walk: Walk, node: ast.Attribute | ast.Subscript) -> tuple[int, int]:
    """The place of the key of `node`."""
    if isinstance(node, ast.Subscript):
        return walk.expression.span_of(node.slice)
    _, end = walk.expression.span_of(node)
    return end - len(node.attr), end


def _member(walk: Walk, node: ast.Attribute | ast.Subscript, base: Type, key: str, soft: bool) -> Type:
    """The type at `key` of something of type `base`."""
    if base.kind == "any":
        return replace(ANY, secret=True) if base.secret else ANY
    if base.kind == "null" or (base.nullable and not soft and path_key(node.value) not in walk.present):
        shown = walk.text(node.value)
        fix = f"read it as `default({walk.text(node)}, …)`"
        message = f"`{shown}` may be null, then it has no `{key}`"
        walk.report_at(codes.NULL_VALUE, *_key_span(walk, node), message, suggestion=fix)
        return ANY
    if base.kind != "object":
        _not_an_object(walk, base, walk.text(node.value), key, _key_span(walk, node))
        return ANY
    found = None if base.fields is None else base.fields.get(key)
    if found is None:
        if base.fields is None or base.open:
            found = base.items or ANY
        else:
            if not soft or isinstance(node.value, ast.Name):
                _unknown_field(walk, node.value, base.fields, key, _key_span(walk, node))
            found = ANY
    elif key in base.partial and not soft and path_key(node) not in walk.present:
        binding = walk.bindings.get(node.value.id) if isinstance(node.value, ast.Name) else None
        shown = str(binding.label) if binding is not None else f"`{walk.text(node.value)}`"
        fix = f"read it as `default({walk.text(node)}, …)`"
        walk.report_at(codes.MAY_BE_MISSING, *_key_span(walk, node), f"{shown} may have no `{key}`", suggestion=fix)
    return replace(found, secret=True) if base.secret and not found.secret else found


def _not_an_object(walk: Walk, base: Type, shown: str, key: str, span: tuple[int, int]) -> None:
    suggestion = None
    if base.kind == "array":
        suggestion = f"did you mean `{shown}[0].{key}`, or `[x.{key} for x in {shown}]`?"
    elif base.kind == "stream":
        suggestion = "read its rows in a `for_each`"
    if key in ("length", "size", "count") and base.kind in ("array", "string"):
        suggestion = f"did you mean `len({shown})`?"
    message = f"`{shown}` is {base}, which has no key `{key}`"
    walk.report_at(codes.MISMATCH, *span, message, suggestion=suggestion)


_MEANT = {"message": "detail", "msg": "detail", "error": "detail", "class": "type", "code": "type", "name": "type"}
"""What the keys of `error` are called elsewhere."""


def _unknown_field(walk: Walk, base: ast.expr, fields: Mapping[str, Type], key: str, span: tuple[int, int]) -> None:
    binding = walk.bindings.get(base.id) if isinstance(base, ast.Name) else None
    step = binding is not None and str(binding.label).startswith("step")
    word = "output" if step else "key"
    label = binding.label if binding is not None else f"`{walk.text(base)}`"
    if isinstance(base, ast.Name) and base.id == "inputs":
        message = f"no input named `{key}`"
    else:
        message = f"{label} has no {word} `{key}`"
    gives = ", ".join(f"`{each}`" for each in list(fields)[:12]) + (", …" if len(fields) > 12 else "")
    guess = _MEANT.get(key) if _MEANT.get(key) in fields else nearest(key, fields)
    note = f"it {'gives' if step else 'has'} {gives or 'nothing'}"
    if isinstance(base, ast.Name) and base.id in ("inputs", "vars"):
        note = f"the flow declares {gives}" if gives else f"the flow declares no `{base.id}`"
    walk.report_at(
        codes.UNKNOWN_OUTPUT if step else codes.UNKNOWN_FIELD,
        *span,
        message,
        notes=(note,),
        suggestion=f"did you mean `{guess}`?" if guess else None,
        replacement=guess,
    )


def subscript(walk: Walk, node: ast.Subscript, soft: bool = False) -> Type:
    if isinstance(node.slice, ast.Slice):
        return _sliced(walk, node, node.slice)
    base = base_type(walk, node.value, soft)
    key = walk.type_of(node.slice)
    if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) and base.kind != "any":
        return _member(walk, node, base, node.slice.value, soft)
    if base.kind == "any":
        return replace(ANY, secret=True) if base.secret else ANY
    if base.nullable and not soft and path_key(node.value) not in walk.present:
        fix = f"read it as `default({walk.text(node)}, …)`"
        walk.report(codes.NULL_VALUE, node.value, f"`{walk.text(node.value)}` may be null", suggestion=fix)
        return ANY
    return _item(walk, node, base, key)


def _item(walk: Walk, node: ast.Subscript, base: Type, key: Type) -> Type:
    shown = walk.text(node.value)
    if base.kind in ("array", "string"):
        if not accepts(Type("integer", nullable=True), key):
            walk.report(codes.MISMATCH, node.slice, f"`{shown}` is {base}: its items have numbers, this key is {key}")
        found = STRING if base.kind == "string" else base.items or ANY
        return replace(found, secret=True) if base.secret else found
    if base.kind == "object":
        if not accepts(Type("string", nullable=True), key):
            fix = f"did you mean `{shown}[str({walk.text(node.slice)})]`?" if base.fields else None
            if base.fields and not base.open:
                walk.report(
                    codes.MISMATCH,
                    node.slice,
                    f"`{shown}` is an object with text keys, this key is {key}",
                    suggestion=fix,
                )
        return replace(ANY, secret=True) if base.secret or any(t.secret for t in (base.fields or {}).values()) else ANY
    suggestion = "read its rows in a `for_each`" if base.kind == "stream" else None
    walk.report(codes.MISMATCH, node, f"`{shown}` is {base}, nothing can be looked up in it", suggestion=suggestion)
    return ANY


def _sliced(walk: Walk, node: ast.Subscript, bounds: ast.Slice) -> Type:
    base = walk.solid(node.value, "[]")
    for bound in (bounds.lower, bounds.upper, bounds.step):
        if bound is not None and not accepts(Type("integer", nullable=True), found := walk.type_of(bound)):
            walk.report(codes.MISMATCH, bound, f"a slice counts items with integers, this is {found}")
    if isinstance(bounds.step, ast.Constant) and bounds.step.value == 0:
        walk.report(codes.MISMATCH, bounds.step, "the step of a slice cannot be 0")
    if base.kind not in ("any", "array", "string", "bytes"):
        walk.report(codes.MISMATCH, node, f"`{walk.text(node.value)}` is {base}, which cannot be sliced")
        return ANY
    return replace(base, enum=None)
