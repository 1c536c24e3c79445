"""Expressions to Python functions.

A `Unit` turns the expressions of one step (or whatever is computed together) into one function `(f, x) -> value`.
`f` is the frame that paths start from, `x` gives what is read from outside. A plain path becomes plain subscripts.
Every generated node has the number of a mark as its line, so a traceback tells which part of which text failed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from flowlang.expressions import runtime
from flowlang.expressions.functions import FUNCTIONS, Function
from flowlang.expressions.infer import Binding, Inference, Names, infer, infer_condition, infer_template
from flowlang.expressions.syntax import Expression, Template
from flowlang.expressions.types import ANY, NUMERIC, Type

Evaluator = Callable[[Any, Any], Any]


class Where(Protocol):
    """A place that an expression stands in: the scalar, which knows its spans in the file."""

    def locate(self, start: int, end: int) -> Any: ...


class Mark(NamedTuple):
    """What a generated line stands for: `node` of `expression`, which stands in `where`.

    `bindings` are the names that it reads, `secret` says that what it reads must not be shown. Marks live as long
    as the plan, so they hold no more than an error message needs.
    """

    where: Where
    expression: Expression
    node: ast.AST
    bindings: Mapping[str, Binding]
    secret: bool
    variables: Mapping[str, str]  # a comprehension's names and what they are called in the generated code


_LOAD, _STORE = ast.Load(), ast.Store()
_SCALARS = NUMERIC | {"boolean", "timestamp", "date", "time", "duration", "uuid", "null"}
_NATIVE = (ast.Add, ast.Sub, ast.Div, ast.FloorDiv)
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "_add",
    ast.Sub: "_subtract",
    ast.Mult: "_multiply",
    ast.Div: "_divide",
    ast.FloorDiv: "_floor_divide",
    ast.Mod: "_remainder",
}
_COMPREHENSIONS = (ast.ListComp, ast.DictComp, ast.GeneratorExp)
_HELPERS: dict[str, Any] = {
    "__builtins__": {},
    "_Work": runtime.Work,
    "_add": runtime.add,
    "_subtract": runtime.subtract,
    "_multiply": runtime.multiply,
    "_divide": runtime.divide,
    "_floor_divide": runtime.floor_divide,
    "_remainder": runtime.remainder,
    "_negative": runtime.negative,
    "_positive": runtime.positive,
    "_boolean": runtime.boolean,
    "_ready": runtime.ready,
    "_look": runtime.look,
    "_fallback": runtime.fallback,
    "_present": runtime.present,
    "_text": runtime.text,
    **{f"_fn_{each.name}": each.call for each in FUNCTIONS.values()},
}


class Unit:
    """Collects fragments and compiles them to one function.

    `expression`, `template`, `condition`, `constant`, `list` and `dict` return fragments that may be nested in one
    another; `function` compiles one. Only what parsed and was inferred without errors may be given.
    """

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self._constants: list[object] = []  # the defaults of parameters `_c0`, `_c1`, …
        self.variables = 0
        self.works = False

    def expression(
        self, expression: Expression, names: Names, where: Where, inference: Inference | None = None
    ) -> ast.expr:
        """The value of `expression`. `inference` spares a second pass when the caller has it."""
        known = inference or infer(expression, names)
        return _Lowering(self, expression, known, where).value(expression.tree)

    def condition(
        self, expression: Expression, names: Names, where: Where, inference: Inference | None = None
    ) -> ast.expr:
        """Like `expression`; what is not a boolean is an error."""
        known = inference or infer_condition(expression, names)
        lowering = _Lowering(self, expression, known, where)
        return lowering.checked(expression.tree)

    def template(self, template: Template, names: Names, where: Where, inference: Inference | None = None) -> ast.expr:
        """A scalar: the value of its expression when it is exactly one, else text."""
        known = inference or infer_template(template, names)
        whole = template.whole
        if whole is not None:
            return _Lowering(self, whole, known, where).value(whole.tree)
        if not template.expressions:
            return self.constant("".join(each for each in template.parts if isinstance(each, str)))
        parts: list[ast.expr] = []
        for part in template.parts:
            if isinstance(part, str):
                parts.append(_constant(part, 1))
                continue
            lowering = _Lowering(self, part, known, where)
            line = lowering.mark(part.tree)
            text = _call("_text", [lowering.value(part.tree)], line)
            parts.append(ast.FormattedValue(text, -1, None, **_at(line)))
        return ast.JoinedStr(parts, **_at(1))

    def constant(self, value: object) -> ast.expr:
        """A plain value. Lists and objects are made anew by each evaluation, so nobody shares one."""
        if value is None or type(value) in (bool, int, float, str, bytes):
            return _constant(value, 1)
        if isinstance(value, Mapping):
            return self.dict([(key, self.constant(each)) for key, each in value.items()])
        if isinstance(value, (list, tuple)):
            return self.list([self.constant(each) for each in value])
        self._constants.append(value)
        return ast.Name(f"_c{len(self._constants) - 1}", _LOAD, **_at(1))

    def list(self, items: Iterable[ast.expr]) -> ast.expr:
        return ast.List([*items], _LOAD, **_at(1))

    def dict(self, entries: Iterable[tuple[str, ast.expr]]) -> ast.expr:
        pairs = [*entries]
        keys: list[ast.expr | None] = [_constant(key, 1) for key, _ in pairs]
        return ast.Dict(keys, [value for _, value in pairs], **_at(1))

    def function(self, body: ast.expr, name: str) -> Evaluator:
        """Compile `body`. A unit may compile several functions; they share its constants and marks."""
        if self.works:
            # a budget is always true, so `and` goes on to the body
            budget = ast.NamedExpr(ast.Name("b", _STORE, **_at(1)), _call("_Work", [_name("x", 1)], 1), **_at(1))
            body = ast.BoolOp(ast.And(), [budget, body], **_at(1))
        function = ast.Lambda(_parameters(len(self._constants)), body, **_at(1))
        code = compile(ast.Expression(function), "<flowlang>", "eval")
        evaluator: Any = eval(code, _HELPERS)  # noqa: S307 - of a tree made here, of allowed parts
        evaluator.__name__ = evaluator.__qualname__ = name
        evaluator.__defaults__ = tuple(self._constants) or None
        evaluator.marks = self.marks
        return evaluator  # type: ignore[no-any-return]


def _parameters(constants: int) -> ast.arguments:
    """`f`, `x`, and the unit's constants, whose defaults are filled in afterwards."""
    names = ["f", "x", *(f"_c{number}" for number in range(constants))]
    arguments = [ast.arg(each, lineno=1, col_offset=0, end_lineno=1, end_col_offset=0) for each in names]
    return ast.arguments(posonlyargs=[], args=arguments, kwonlyargs=[], kw_defaults=[], defaults=[])


_NO_PARAMETERS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def _at(line: int) -> dict[str, int]:
    return {"lineno": line, "col_offset": 0, "end_lineno": line, "end_col_offset": 0}


def _name(name: str, line: int) -> ast.expr:
    return ast.Name(name, _LOAD, lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)


def _constant(value: Any, line: int) -> ast.expr:
    return ast.Constant(value, lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)


def _item(value: ast.expr, key: ast.expr, line: int) -> ast.expr:
    return ast.Subscript(value, key, _LOAD, lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)


def _call(name: str, arguments: list[ast.expr], line: int, keywords: list[ast.keyword] | None = None) -> ast.expr:
    return ast.Call(_name(name, line), arguments, keywords or [], **_at(line))


class _Lowering:
    """One expression on its way into a unit."""

    def __init__(self, unit: Unit, expression: Expression, inference: Inference, where: Where) -> None:
        self.unit = unit
        self.expression = expression
        self.inference = inference
        self.where = where
        self.variables: dict[str, str] = {}
        self.loops = 0
        self._nested: bool | None = None

    def mark(self, node: ast.AST) -> int:
        marks = self.unit.marks
        known = self.inference
        marks.append(Mark(self.where, self.expression, node, known.bindings, known.secret, self.variables))
        return len(marks)

    @property
    def nested(self) -> bool:
        """Whether there are several comprehensions, so that what one makes can be multiplied by another."""
        if self._nested is None:
            found = (isinstance(each, _COMPREHENSIONS) for each in ast.walk(self.expression.tree))
            self._nested = sum(found) > 1
        return self._nested

    def work(self, method: str, arguments: list[ast.expr], line: int) -> ast.expr:
        self.unit.works = True
        function = ast.Attribute(_name("b", line), method, _LOAD, **_at(line))
        return ast.Call(function, arguments, [], **_at(line))

    def kept(self, made: ast.expr, line: int) -> ast.expr:
        return self.work("keep", [made], line) if self.nested else made

    def type(self, node: ast.AST) -> Type:
        return self.inference.types.get(node, ANY)

    def value(self, node: ast.AST) -> ast.expr:
        return _RULES[type(node)](self, node)

    def checked(self, node: ast.expr) -> ast.expr:
        """A boolean, checked unless its form makes it one."""
        if isinstance(node, ast.Compare | ast.BoolOp) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            return self.value(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return self.value(node)
        return _call("_boolean", [self.value(node)], self.mark(node))

    def decided(self, node: ast.expr) -> ast.expr:
        """An operand of `and`, `or`, `not`, `if`: checked unless its type is known to be boolean."""
        known = self.type(node)
        if known.kind == "boolean" and not known.nullable:
            return self.value(node)
        return self.checked(node)


def _root(low: _Lowering, node: ast.Name) -> ast.expr:
    line = low.mark(node)
    local = low.variables.get(node.id)
    if local is not None:
        return _name(local, line)
    binding = low.inference.bindings[node.id]
    value = _frame(binding.depth, binding.slot, line)
    return value if binding.state == "ready" else _call("_ready", [value], line)


def _frame(depth: int, slot: int, line: int) -> ast.expr:
    value = _name("f", line)
    for _ in range(depth):
        value = _item(value, _constant(0, line), line)
    return _item(value, _constant(slot, line), line)


def _attribute(low: _Lowering, node: ast.Attribute) -> ast.expr:
    value = _base(low, node.value)
    line = low.mark(node)
    return _item(value, _constant(node.attr, line), line)


def _base(low: _Lowering, node: ast.expr) -> ast.expr:
    """What is looked into. A literal goes through a helper: Python warns about look-ups that cannot work."""
    value = low.value(node)
    if isinstance(node, ast.Constant | ast.List):
        return _call("_ready", [value], low.mark(node))
    return value


def _subscript(low: _Lowering, node: ast.Subscript) -> ast.expr:
    value = _base(low, node.value)
    line = low.mark(node)
    if not isinstance(node.slice, ast.Slice):
        return _item(value, low.value(node.slice), line)
    bounds = node.slice
    lower, upper, step = (each and low.value(each) for each in (bounds.lower, bounds.upper, bounds.step))
    if low.loops:
        value = low.work("sized", [value], line)
    return low.kept(_item(value, ast.Slice(lower, upper, step, **_at(line)), line), line)


def _literal(low: _Lowering, node: ast.Constant) -> ast.expr:
    if node.value is ...:
        raise ValueError("an expression with problems cannot be compiled")
    return _constant(node.value, low.mark(node))


def _binary(low: _Lowering, node: ast.BinOp) -> ast.expr:
    left, right = low.value(node.left), low.value(node.right)
    line = low.mark(node)
    numeric = low.type(node.left).kind in NUMERIC and low.type(node.right).kind in NUMERIC
    if numeric and isinstance(node.op, _NATIVE):
        return ast.BinOp(left, node.op, right, **_at(line))
    if isinstance(node.op, ast.Add) and low.loops:
        return low.kept(low.work("add", [left, right], line), line)
    return _call(_OPERATORS[type(node.op)], [left, right], line)


def _unary(low: _Lowering, node: ast.UnaryOp) -> ast.expr:
    if isinstance(node.op, ast.Not):
        operand = low.decided(node.operand)
        return ast.UnaryOp(node.op, operand, **_at(low.mark(node)))
    operand, line = low.value(node.operand), low.mark(node)
    if isinstance(node.operand, ast.Constant) and isinstance(node.op, ast.USub):
        return ast.UnaryOp(node.op, operand, **_at(line))
    return _call("_negative" if isinstance(node.op, ast.USub) else "_positive", [operand], line)


def _logic(low: _Lowering, node: ast.BoolOp) -> ast.expr:
    return ast.BoolOp(node.op, [low.decided(each) for each in node.values], **_at(low.mark(node)))


def _compare(low: _Lowering, node: ast.Compare) -> ast.expr:
    nodes = [node.left, *node.comparators]
    operands = [low.value(each) for each in nodes]
    line = low.mark(node)
    if low.loops and not _cheap(low, nodes):
        operands = [_sized(low, known, each, line) for known, each in zip(nodes, operands, strict=True)]
    return ast.Compare(operands[0], node.ops, operands[1:], **_at(line))


def _cheap(low: _Lowering, nodes: list[ast.expr]) -> bool:
    """Whether a comparison takes the same time whatever the data: one side is a number, or a text of the flow's."""
    if len(nodes) > 2:
        return all(low.type(each).kind in _SCALARS or isinstance(each, ast.Constant) for each in nodes)
    return any(low.type(each).kind in _SCALARS or isinstance(each, ast.Constant) for each in nodes[-1:]) or (
        low.type(nodes[0]).kind in _SCALARS and low.type(nodes[1]).kind in _SCALARS
    )


def _sized(low: _Lowering, node: ast.expr, operand: ast.expr, line: int) -> ast.expr:
    if isinstance(node, ast.Constant) or low.type(node).kind in _SCALARS:
        return operand
    return low.work("sized", [operand], line)


def _choice(low: _Lowering, node: ast.IfExp) -> ast.expr:
    test = low.decided(node.test)
    return ast.IfExp(test, low.value(node.body), low.value(node.orelse), **_at(low.mark(node)))


def _list(low: _Lowering, node: ast.List) -> ast.expr:
    line = low.mark(node)
    return low.kept(ast.List([low.value(each) for each in node.elts], _LOAD, **_at(line)), line)


def _dict(low: _Lowering, node: ast.Dict) -> ast.expr:
    line = low.mark(node)
    keys: list[ast.expr | None] = [None if key is None else low.value(key) for key in node.keys]
    return low.kept(ast.Dict(keys, [low.value(each) for each in node.values], **_at(line)), line)


def _comprehension(low: _Lowering, node: ast.ListComp | ast.DictComp | ast.GeneratorExp) -> ast.expr:
    outer = low.variables
    low.variables = dict(outer)
    weight = max(1, sum(1 for _ in ast.walk(node)) // 16)
    generators = [_generator(low, each, weight, first=each is node.generators[0]) for each in node.generators]
    line = low.mark(node)
    made: ast.expr
    if isinstance(node, ast.DictComp):
        made = ast.DictComp(low.value(node.key), low.value(node.value), generators, **_at(line))
    else:
        made = ast.ListComp(low.value(node.elt), generators, **_at(line))
    low.loops -= 1
    low.variables = outer
    return low.kept(made, line)


def _generator(low: _Lowering, part: ast.comprehension, weight: int, *, first: bool) -> ast.comprehension:
    values = low.value(part.iter)
    line = low.mark(part.iter)
    values = low.work("each", [values, _constant(weight, line)], line)
    if first:
        low.loops += 1
    names = part.target.elts if isinstance(part.target, ast.Tuple | ast.List) else [part.target]
    locals_ = [_local(low, each) for each in names if isinstance(each, ast.Name)]
    targets: list[ast.expr] = [ast.Name(each, _STORE, **_at(line)) for each in locals_]
    target = targets[0] if names == [part.target] else ast.Tuple(targets, _STORE, **_at(line))
    return ast.comprehension(target, values, [low.decided(each) for each in part.ifs], 0)


def _local(low: _Lowering, node: ast.Name) -> str:
    low.unit.variables += 1
    low.variables[node.id] = f"v{low.unit.variables}"
    return low.variables[node.id]


def _function(low: _Lowering, node: ast.Call) -> ast.expr:
    assert isinstance(node.func, ast.Name)
    function = FUNCTIONS[node.func.id]
    line = low.mark(node)
    if function.reads is not None:
        span = low.where.locate(*low.expression.span_of(node))
        position = _constant(str(getattr(span, "start", span)), line)
        return low.work("read", [_constant(function.reads, line), position], line)
    if function.lazy:
        return _lazy(low, node, function, line)
    arguments, keywords = _arguments(low, node, function, line)
    if function.work:
        low.unit.works = True
        arguments.insert(0, _name("b", line))
    made = _call(f"_fn_{function.name}", arguments, line, keywords)
    return low.kept(made, line) if function.work else made


def _arguments(
    low: _Lowering, node: ast.Call, function: Function, line: int
) -> tuple[list[ast.expr], list[ast.keyword]]:
    """Required arguments by position, in the order of the parameters; optional ones as they were given."""
    arguments = [low.value(each) for each in node.args]
    named = {each.arg: low.value(each.value) for each in node.keywords}
    required = [each.name for each in function.parameters if not each.optional and each.name in named]
    arguments.extend(named.pop(each) for each in required)
    return arguments, [ast.keyword(name, value, **_at(line)) for name, value in named.items()]


def _lazy(low: _Lowering, node: ast.Call, function: Function, line: int) -> ast.expr:
    """`default` and `has`: the path is looked up key by key, and what is missing on it is null."""
    found = _call("_look", _path(low, node.args[0]), low.mark(node.args[0]))
    if function.name == "has":
        return _call("_present", [found], line)
    otherwise = ast.Lambda(_NO_PARAMETERS, low.value(node.args[1]), **_at(line))
    return _call("_fallback", [found, otherwise], line)


def _path(low: _Lowering, node: ast.expr) -> list[ast.expr]:
    """Where the path `node` begins, and its keys."""
    keys: list[ast.expr] = []
    while True:
        if isinstance(node, ast.Attribute):
            keys.append(_constant(node.attr, low.mark(node)))
            node = node.value
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            keys.append(low.value(node.slice))
            node = node.value
        else:
            break
    if isinstance(node, ast.Name) and node.id not in low.variables:
        binding = low.inference.bindings[node.id]
        base = _frame(binding.depth, binding.slot, low.mark(node))
    else:
        base = low.value(node)
    return [base, *reversed(keys)]


_RULES: dict[type[ast.AST], Callable[..., ast.expr]] = {
    ast.Name: _root,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Constant: _literal,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _logic,
    ast.Compare: _compare,
    ast.IfExp: _choice,
    ast.List: _list,
    ast.Dict: _dict,
    ast.ListComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Call: _function,
}
