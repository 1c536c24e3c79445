"""The types of literals, operators, displays and comprehensions, and what is wrong with them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from flowlang.diagnostics import nearest
from flowlang.expressions import codes, operators
from flowlang.expressions.narrowing import path_key, proven
from flowlang.expressions.types import ANY, BOOLEAN, NUMERIC, STRING, Type, accepts, array, record, type_of, union
from flowlang.expressions.walk import Walk


def constant(walk: Walk, node: ast.Constant) -> Type:
    return ANY if node.value is ... else type_of(node.value)


_DIVIDING = (ast.Div, ast.FloorDiv, ast.Mod)


def binary(walk: Walk, node: ast.BinOp) -> Type:
    left, right = walk.solid(node.left, "0"), walk.solid(node.right, "0")
    found = operators.arithmetic(type(node.op), left, right)
    if found is not None:
        if isinstance(node.op, _DIVIDING) and isinstance(node.right, ast.Constant) and node.right.value == 0:
            walk.report(codes.ALWAYS_FAILS, node.right, "this fails on every run: nothing can be divided by 0")
        return found
    verb = operators.VERBS[type(node.op)]
    suggestion = None
    if {left.kind, right.kind} == {"decimal", "number"}:
        suggestion = "convert one with `decimal(x)` or `float(x)`"
    elif isinstance(node.op, ast.Add | ast.Sub) and {left.kind, right.kind} & {"timestamp", "date", "duration"}:
        suggestion = _as_duration(walk, (node.left, node.right), left, right)
    elif isinstance(node.op, ast.Add) and "string" in (left.kind, right.kind):
        other = node.left if right.kind == "string" else node.right
        suggestion = f"did you mean `str({walk.text(other)})`?"
    walk.report(codes.MISMATCH, node, f"cannot {verb} {left} and {right}", suggestion=suggestion)
    return ANY


def _as_duration(walk: Walk, pair: tuple[ast.expr, ast.expr], left: Type, right: Type) -> str | None:
    """What was meant where a duration is wanted beside a time, and a number or text stands there."""
    for node, found, other in zip(pair, (left, right), (right, left), strict=True):
        if found.kind in ("string", "integer", "number") and other.kind in ("timestamp", "date", "duration"):
            return f"did you mean `duration({walk.text(node)})`?"
    return None


def unary(walk: Walk, node: ast.UnaryOp) -> Type:
    if isinstance(node.op, ast.Not):
        walk.test(node.operand)
        return BOOLEAN
    found = walk.solid(node.operand, "0")
    if found.kind not in ("any", "duration", *NUMERIC):
        walk.report(codes.MISMATCH, node, f"a sign needs a number, `{walk.text(node.operand)}` is {found}")
        return ANY
    return replace(found, enum=None)


def logic(walk: Walk, node: ast.BoolOp) -> Type:
    outcome = isinstance(node.op, ast.And)
    facts: frozenset[str] = frozenset()
    for operand in node.values:
        walk.assuming(facts, operand, walk.test)
        facts |= proven(operand, outcome)
    return BOOLEAN


def compare(walk: Walk, node: ast.Compare) -> Type:
    operands = [node.left, *node.comparators]
    known = [walk.type_of(each) for each in operands]
    for at, operator in enumerate(node.ops):
        pair = (operands[at], operands[at + 1])
        if isinstance(operator, ast.Eq | ast.NotEq):
            _equal(walk, pair, known[at], known[at + 1])
        elif isinstance(operator, ast.In | ast.NotIn):
            _inside(walk, pair, known[at], known[at + 1])
        else:
            _order(walk, pair, known[at], known[at + 1])
    return BOOLEAN


def _pair_span(walk: Walk, pair: tuple[ast.expr, ast.expr]) -> tuple[int, int]:
    return walk.expression.span_of(pair[0])[0], walk.expression.span_of(pair[1])[1]


def _order(walk: Walk, pair: tuple[ast.expr, ast.expr], left: Type, right: Type) -> None:
    for node, found in zip(pair, (left, right), strict=True):
        if found.kind == "null" or (found.nullable and path_key(node) not in walk.present):
            shown = walk.text(node)
            fix = None if found.kind == "null" else f"give it a value for that case: `default({shown}, …)`"
            walk.report(codes.NULL_VALUE, node, f"`{shown}` may be null, which has no order", suggestion=fix)
            return
    if operators.can_order(left, right):
        return
    suggestion = _converted(walk, pair, left, right)
    walk.report_at(codes.MISMATCH, *_pair_span(walk, pair), f"cannot order {left} and {right}", suggestion=suggestion)


def one_order(walk: Walk, function: str, nodes: Sequence[ast.expr]) -> None:
    """Values that `function` is to put in order, as far as they are written out: two of kinds without a common one."""
    for pair in pairwise(nodes):
        left, right = (walk.types.get(each, ANY) for each in pair)
        unlike = left.kind != right.kind and not {"boolean", "null"} & {left.kind, right.kind}
        if unlike and not operators.can_order(left, right):
            message = f"`{function}` cannot order {left.not_null()} and {right.not_null()}"
            suggestion = _converted(walk, pair, left, right)
            walk.report_at(codes.MISMATCH, *_pair_span(walk, pair), message, suggestion=suggestion)
            return


_READERS = {"timestamp": "parse_time", "duration": "duration"}


def _converted(walk: Walk, pair: tuple[ast.expr, ast.expr], left: Type, right: Type) -> str | None:
    """How two values that cannot be compared were meant, when one of them may be converted."""
    for node, found, other in zip(pair, (left, right), (right, left), strict=True):
        reader = _READERS.get(other.kind)
        if reader is not None and (found.kind == "string" or (reader == "duration" and found.kind in NUMERIC)):
            return f"did you mean `{reader}({walk.text(node)})`?"
        if other.kind in NUMERIC and found.kind == "string":
            plain = node.value if isinstance(node, ast.Constant) else None
            if isinstance(plain, str):
                return f"did you mean `{plain.strip()}`?" if plain.strip().isdigit() else None
            return f"did you mean `{'int' if other.kind == 'integer' else 'float'}({walk.text(node)})`?"
        if other.kind == "boolean" and isinstance(node, ast.Constant) and str(node.value).lower() in ("true", "false"):
            return f"did you mean `{str(node.value).lower()}`?"
    return None


def _equal(walk: Walk, pair: tuple[ast.expr, ast.expr], left: Type, right: Type) -> None:
    if not operators.can_equal(left, right):
        message = f"{left.not_null()} and {right.not_null()} are never equal"
        suggestion = _converted(walk, pair, left, right)
        walk.report_at(codes.MISMATCH, *_pair_span(walk, pair), message, severity="warning", suggestion=suggestion)
        return
    for node, choices in ((pair[1], left), (pair[0], right)):
        _no_choice(walk, node, choices)
    if left.enum and right.enum and not set(left.enum) & set(right.enum) and not (left.nullable and right.nullable):
        message = f"these are never equal: the one is {_words(left)}, the other {_words(right)}"
        walk.report_at(codes.MISMATCH, *_pair_span(walk, pair), message, severity="warning")


def _words(choices: Type) -> str:
    words = [repr(each) for each in (choices.enum or ())[:8]]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _no_choice(walk: Walk, node: ast.expr, choices: Type) -> None:
    """A literal that is compared with what can only have other values."""
    if choices.enum is None or not isinstance(node, ast.Constant) or node.value is None or node.value in choices.enum:
        return
    guess = nearest(str(node.value), [each for each in choices.enum if isinstance(each, str)])
    allowed = ", ".join(repr(each) for each in choices.enum[:8])
    message = f"this is never equal: the only values are {allowed}"
    suggestion = f"did you mean '{guess}'?" if guess else None
    walk.report(codes.MISMATCH, node, message, severity="warning", suggestion=suggestion)


def _inside(walk: Walk, pair: tuple[ast.expr, ast.expr], item: Type, box: Type) -> None:
    if box.kind == "null" or (box.nullable and path_key(pair[1]) not in walk.present):
        shown = walk.text(pair[1])
        fix = f"give it a value for that case: `default({shown}, [])`"
        walk.report(codes.NULL_VALUE, pair[1], f"`{shown}` may be null, which holds nothing", suggestion=fix)
    elif not operators.can_hold(box, item):
        what = (
            f"a string holds only text, not {item}"
            if box.kind == "string"
            else f"{box} holds nothing that `in` could find"
        )
        walk.report_at(codes.MISMATCH, *_pair_span(walk, pair), what)
    elif isinstance(pair[1], ast.List) and item.enum is not None:
        for each in pair[1].elts:
            _no_choice(walk, each, item)
    else:
        held = STRING if box.kind == "object" else box.items or ANY
        if box.kind in ("object", "array") and not operators.can_equal(held, item):
            what = "the keys of an object are text" if box.kind == "object" else f"this is {box}"
            message = f"{what}, it never holds {item.not_null()}"
            walk.report_at(codes.MISMATCH, *_pair_span(walk, pair), message, severity="warning")


def choice(walk: Walk, node: ast.IfExp) -> Type:
    walk.test(node.test)
    chosen = walk.assuming(proven(node.test, True), node.body, walk.type_of)
    other = walk.assuming(proven(node.test, False), node.orelse, walk.type_of)
    if path_key(node.body) in proven(node.test, True):
        chosen = chosen.not_null()
    return union(chosen, other)


def list_display(walk: Walk, node: ast.List) -> Type:
    items = [walk.type_of(each) for each in node.elts]
    return array(union(*items)) if items else array(ANY)


def dict_display(walk: Walk, node: ast.Dict) -> Type:
    fields: dict[str, Type] = {}
    known = True
    for key, value in zip(node.keys, node.values, strict=True):
        found = walk.type_of(value)
        if key is None:
            continue
        key_type = walk.type_of(key)
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            fields[key.value] = found
            continue
        known = False
        if not accepts(STRING, key_type):
            fix = (
                f"did you mean `'{walk.text(key)}'`?"
                if isinstance(key, ast.Constant)
                else f"did you mean `str({walk.text(key)})`?"
            )
            walk.report(codes.MISMATCH, key, f"the keys of an object are text, this is {key_type}", suggestion=fix)
    return record(fields, open=not known)


def comprehension(walk: Walk, node: ast.ListComp | ast.DictComp | ast.GeneratorExp) -> Type:
    outer, facts = dict(walk.variables), walk.present
    for generator in node.generators:
        given = walk.solid(generator.iter, "[]")
        if given.kind not in ("any", "array"):
            _not_a_list(walk, generator.iter, given)
        item = given.items or ANY
        _bind(walk, generator.target, replace(item, secret=True) if given.secret else item)
        for test in generator.ifs:
            walk.test(test)
            walk.present |= proven(test, True)
    if isinstance(node, ast.DictComp):
        key = walk.type_of(node.key)
        if not accepts(STRING, key):
            walk.report(codes.MISMATCH, node.key, f"the keys of an object are text, this is {key}")
        walk.type_of(node.value)
        found = Type("object")
    else:
        found = array(walk.type_of(node.elt))
    walk.variables, walk.present = outer, facts
    return found


def _not_a_list(walk: Walk, node: ast.expr, given: Type) -> None:
    shown = walk.text(node)
    by_kind = {
        "object": f"did you mean `items({shown})`, `keys({shown})` or `values({shown})`?",
        "stream": "a stream is read by `for_each`, row by row",
        "integer": f"did you mean `range({shown})`?",
    }
    walk.report(
        codes.MISMATCH,
        node,
        f"a comprehension goes over a list, `{shown}` is {given}",
        suggestion=by_kind.get(given.kind),
    )


def _bind(walk: Walk, target: ast.expr, item: Type) -> None:
    names = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    for each in names:
        if not isinstance(each, ast.Name):
            continue
        if walk.names.lookup(each.id) is not None:
            message = f"`{each.id}` means something else here already"
            walk.report(codes.NAME_TAKEN, each, message, suggestion="give the variable another name")
        walk.variables[each.id] = item if each is target else replace(ANY, secret=item.secret)
