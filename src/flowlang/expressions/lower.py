"""One expression to a tree of Python's, as `unit` compiles it.

In the tree `f` is the frame that paths start from, `x` gives what is read from outside, `b` is the budget of work. A
plain path becomes plain subscripts. Every node has the number of a mark as its line, so a traceback tells which part
of which text failed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from flowlang.expressions.functions import FUNCTIONS, Function
from flowlang.expressions.infer import Binding
from flowlang.expressions.syntax import Expression
from flowlang.expressions.types import ANY, NUMERIC, Type


class Where(Protocol):
    """A place that an expression stands in: the scalar, which knows its spans in the file."""

    def locate(self, start: int, end: int) -> Any: ...


Use = Literal["value", "condition", "text"]


class Part(NamedTuple):
    """An expression in a function: the marks of its nodes are the lines behind `before`, its variables those behind
    `variables`.

    `types` and `bindings` are what the check found out about it, `secret` says that what it reads must not be shown.
    Parts live as long as the plan. They are all that an error message needs: lowering the expression once more gives
    the same marks again.
    """

    before: int
    variables: int
    use: Use
    where: Where
    expression: Expression
    types: Mapping[ast.AST, Type]
    bindings: Mapping[str, Binding]
    secret: bool


class Mark(NamedTuple):
    """What a line stands for: `node` of the expression of `part`."""

    part: Part
    node: ast.AST
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

_NO_PARAMETERS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def at(line: int) -> dict[str, int]:
    return {"lineno": line, "col_offset": 0, "end_lineno": line, "end_col_offset": 0}


def _name(name: str, line: int) -> ast.expr:
    return ast.Name(name, _LOAD, lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)


def constant(value: Any, line: int) -> ast.expr:
    return ast.Constant(value, lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)


def _item(value: ast.expr, key: ast.expr, line: int) -> ast.expr:
    return ast.Subscript(value, key, _LOAD, lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)


def _call(name: str, arguments: list[ast.expr], line: int, keywords: list[ast.keyword] | None = None) -> ast.expr:
    return ast.Call(_name(name, line), arguments, keywords or [], **at(line))


class Lowering:
    """The lowering of one expression.

    `holes` stand for the constants of `constants_of`, in that order, so that the code can be used again for other
    constants.
    """

    def __init__(self, part: Part, holes: Sequence[Any]) -> None:
        self.part = part
        self.expression = part.expression
        self.bindings = part.bindings
        self.where = part.where
        self.marks: list[Mark] = []
        self.works = False  # whether the code needs a budget
        self.taken = part.variables
        self.slots = dict(zip(part.bindings, holes, strict=False))
        self.keys = iter(holes[1:]) if part.expression.path else None
        self.variables: dict[str, str] = {}
        self.loops = 0
        self._nested: bool | None = None

    def lowered(self) -> ast.expr:
        tree = self.expression.tree
        if self.part.use == "condition":
            return self.checked(tree)
        if self.part.use == "value":
            return self.value(tree)
        line = self.mark(tree)
        return _call("_text", [self.value(tree)], line)

    def mark(self, node: ast.AST) -> int:
        self.marks.append(Mark(self.part, node, self.variables))
        return self.part.before + len(self.marks)

    @property
    def nested(self) -> bool:
        """Whether there are several comprehensions, so that what one makes can be multiplied by another."""
        if self._nested is None:
            found = (isinstance(each, _COMPREHENSIONS) for each in ast.walk(self.expression.tree))
            self._nested = sum(found) > 1
        return self._nested

    def work(self, method: str, arguments: list[ast.expr], line: int) -> ast.expr:
        self.works = True
        function = ast.Attribute(_name("b", line), method, _LOAD, **at(line))
        return ast.Call(function, arguments, [], **at(line))

    def kept(self, made: ast.expr, line: int) -> ast.expr:
        return self.work("keep", [made], line) if self.nested else made

    def type(self, node: ast.AST) -> Type:
        return self.part.types.get(node, ANY)

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


def _root(low: Lowering, node: ast.Name) -> ast.expr:
    line = low.mark(node)
    local = low.variables.get(node.id)
    if local is not None:
        return _name(local, line)
    binding = low.bindings[node.id]
    value = _frame(binding.depth, low.slots[node.id], line)
    return value if binding.state == "ready" else _call("_ready", [value], line)


def _frame(depth: int, slot: Any, line: int) -> ast.expr:
    value = _name("f", line)
    for _ in range(depth):
        value = _item(value, constant(0, line), line)
    return _item(value, constant(slot, line), line)


def _attribute(low: Lowering, node: ast.Attribute) -> ast.expr:
    value = _base(low, node.value)
    line = low.mark(node)
    return _item(value, constant(node.attr if low.keys is None else next(low.keys), line), line)


def _base(low: Lowering, node: ast.expr) -> ast.expr:
    """What is looked into. A literal goes through a helper: Python warns about look-ups that cannot work."""
    value = low.value(node)
    if isinstance(node, ast.Constant | ast.List):
        return _call("_ready", [value], low.mark(node))
    return value


def _subscript(low: Lowering, node: ast.Subscript) -> ast.expr:
    value = _base(low, node.value)
    line = low.mark(node)
    if not isinstance(node.slice, ast.Slice):
        return _item(value, low.value(node.slice), line)
    bounds = node.slice
    lower, upper, step = (each and low.value(each) for each in (bounds.lower, bounds.upper, bounds.step))
    if low.loops:
        value = low.work("sized", [value], line)
    return low.kept(_item(value, ast.Slice(lower, upper, step, **at(line)), line), line)


def _literal(low: Lowering, node: ast.Constant) -> ast.expr:
    if node.value is ...:
        raise ValueError("an expression with problems cannot be compiled")
    return constant(node.value, low.mark(node))


def _binary(low: Lowering, node: ast.BinOp) -> ast.expr:
    left, right = low.value(node.left), low.value(node.right)
    line = low.mark(node)
    numeric = low.type(node.left).kind in NUMERIC and low.type(node.right).kind in NUMERIC
    if numeric and isinstance(node.op, _NATIVE):
        return ast.BinOp(left, node.op, right, **at(line))
    if isinstance(node.op, ast.Add) and low.loops:
        return low.kept(low.work("add", [left, right], line), line)
    return _call(_OPERATORS[type(node.op)], [left, right], line)


def _unary(low: Lowering, node: ast.UnaryOp) -> ast.expr:
    if isinstance(node.op, ast.Not):
        operand = low.decided(node.operand)
        return ast.UnaryOp(node.op, operand, **at(low.mark(node)))
    operand, line = low.value(node.operand), low.mark(node)
    if isinstance(node.operand, ast.Constant) and isinstance(node.op, ast.USub):
        return ast.UnaryOp(node.op, operand, **at(line))
    return _call("_negative" if isinstance(node.op, ast.USub) else "_positive", [operand], line)


def _logic(low: Lowering, node: ast.BoolOp) -> ast.expr:
    return ast.BoolOp(node.op, [low.decided(each) for each in node.values], **at(low.mark(node)))


def _compare(low: Lowering, node: ast.Compare) -> ast.expr:
    nodes = [node.left, *node.comparators]
    operands = [low.value(each) for each in nodes]
    line = low.mark(node)
    if low.loops and not _cheap(low, nodes):
        operands = [_sized(low, known, each, line) for known, each in zip(nodes, operands, strict=True)]
    return ast.Compare(operands[0], node.ops, operands[1:], **at(line))


def _cheap(low: Lowering, nodes: list[ast.expr]) -> bool:
    """Whether a comparison takes the same time whatever the data: one side is a number, or a text of the flow's."""
    if len(nodes) > 2:
        return all(low.type(each).kind in _SCALARS or isinstance(each, ast.Constant) for each in nodes)
    return any(low.type(each).kind in _SCALARS or isinstance(each, ast.Constant) for each in nodes[-1:]) or (
        low.type(nodes[0]).kind in _SCALARS and low.type(nodes[1]).kind in _SCALARS
    )


def _sized(low: Lowering, node: ast.expr, operand: ast.expr, line: int) -> ast.expr:
    if isinstance(node, ast.Constant) or low.type(node).kind in _SCALARS:
        return operand
    return low.work("sized", [operand], line)


def _choice(low: Lowering, node: ast.IfExp) -> ast.expr:
    test = low.decided(node.test)
    return ast.IfExp(test, low.value(node.body), low.value(node.orelse), **at(low.mark(node)))


def _list(low: Lowering, node: ast.List) -> ast.expr:
    line = low.mark(node)
    return low.kept(ast.List([low.value(each) for each in node.elts], _LOAD, **at(line)), line)


def _dict(low: Lowering, node: ast.Dict) -> ast.expr:
    line = low.mark(node)
    keys: list[ast.expr | None] = [None if key is None else low.value(key) for key in node.keys]
    return low.kept(ast.Dict(keys, [low.value(each) for each in node.values], **at(line)), line)


def _comprehension(low: Lowering, node: ast.ListComp | ast.DictComp | ast.GeneratorExp) -> ast.expr:
    outer = low.variables
    low.variables = dict(outer)
    weight = max(1, sum(1 for _ in ast.walk(node)) // 16)
    generators = [_generator(low, each, weight, first=each is node.generators[0]) for each in node.generators]
    line = low.mark(node)
    made: ast.expr
    if isinstance(node, ast.DictComp):
        made = ast.DictComp(low.value(node.key), low.value(node.value), generators, **at(line))
    else:
        made = ast.ListComp(low.value(node.elt), generators, **at(line))
    low.loops -= 1
    low.variables = outer
    return low.kept(made, line)


def _generator(low: Lowering, part: ast.comprehension, weight: int, *, first: bool) -> ast.comprehension:
    values = low.value(part.iter)
    line = low.mark(part.iter)
    values = low.work("each", [values, constant(weight, line)], line)
    if first:
        low.loops += 1
    names = part.target.elts if isinstance(part.target, ast.Tuple | ast.List) else [part.target]
    locals_ = [_local(low, each) for each in names if isinstance(each, ast.Name)]
    targets: list[ast.expr] = [ast.Name(each, _STORE, **at(line)) for each in locals_]
    target = targets[0] if names == [part.target] else ast.Tuple(targets, _STORE, **at(line))
    return ast.comprehension(target, values, [low.decided(each) for each in part.ifs], 0)


def _local(low: Lowering, node: ast.Name) -> str:
    low.taken += 1
    low.variables[node.id] = f"v{low.taken}"
    return low.variables[node.id]


def _function(low: Lowering, node: ast.Call) -> ast.expr:
    assert isinstance(node.func, ast.Name)
    function = FUNCTIONS[node.func.id]
    line = low.mark(node)
    if function.reads is not None:
        span = low.where.locate(*low.expression.span_of(node))
        position = constant(str(getattr(span, "start", span)), line)
        return low.work("read", [constant(function.reads, line), position], line)
    if function.lazy:
        return _lazy(low, node, function, line)
    arguments, keywords = _arguments(low, node, function, line)
    if function.work:
        low.works = True
        arguments.insert(0, _name("b", line))
    made = _call(f"_fn_{function.name}", arguments, line, keywords)
    return low.kept(made, line) if function.work else made


def _arguments(
    low: Lowering, node: ast.Call, function: Function, line: int
) -> tuple[list[ast.expr], list[ast.keyword]]:
    """Required arguments by position, in the order of the parameters; optional ones as they were given."""
    arguments = [low.value(each) for each in node.args]
    named = {each.arg: low.value(each.value) for each in node.keywords}
    required = [each.name for each in function.parameters if not each.optional and each.name in named]
    arguments.extend(named.pop(each) for each in required)
    return arguments, [ast.keyword(name, value, **at(line)) for name, value in named.items()]


def _lazy(low: Lowering, node: ast.Call, function: Function, line: int) -> ast.expr:
    """`default` and `has`: the path is looked up key by key, and what is missing on it is null."""
    found = _call("_look", _path(low, node.args[0]), low.mark(node.args[0]))
    if function.name == "has":
        return _call("_present", [found], line)
    otherwise = ast.Lambda(_NO_PARAMETERS, low.value(node.args[1]), **at(line))
    return _call("_fallback", [found, otherwise], line)


def _path(low: Lowering, node: ast.expr) -> list[ast.expr]:
    """Where the path `node` begins, and its keys."""
    keys: list[ast.expr] = []
    while True:
        if isinstance(node, ast.Attribute):
            keys.append(constant(node.attr, low.mark(node)))
            node = node.value
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            keys.append(low.value(node.slice))
            node = node.value
        else:
            break
    if isinstance(node, ast.Name) and node.id not in low.variables:
        binding = low.bindings[node.id]
        base = _frame(binding.depth, low.slots[node.id], low.mark(node))
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


# ---------------------------------------------------------------- what tells one code from another


def constants_of(expression: Expression, bindings: Mapping[str, Binding]) -> tuple[Any, ...]:
    """What may differ between two expressions of one shape: the places of the names; of a path the keys, too."""
    slots = tuple([each.slot for each in bindings.values()])
    return slots if expression.path is None else slots + expression.path[1:]


_LONGEST_SHAPE = 400  # characters of an expression whose code is kept for others of the same shape
_READING = tuple(each.name for each in FUNCTIONS.values() if each.reads is not None)


def shape_of(
    expression: Expression, types: Mapping[ast.AST, Type], bindings: Mapping[str, Binding], roots: Sequence[ast.Name]
) -> object:
    """What two expressions have in common that differ in their constants only; None when its code is its own."""
    if expression.path is not None:
        (binding,) = bindings.values()
        return len(expression.path), binding.depth, binding.state == "ready"
    source = expression.source
    if expression.columns is not None or len(source) > _LONGEST_SHAPE or any(word in source for word in _READING):
        return None
    names = {name: f"\0{number}" for number, name in enumerate(bindings)}
    pieces, last = [], 0
    for start, end, name in sorted({(node.col_offset, node.end_col_offset or 0, node.id) for node in roots}):
        pieces += [source[last:start], names[name]]
        last = end
    kinds = [each.kind if not each.nullable else f"{each.kind}?" for each in types.values()]
    frames = [(each.depth, each.state == "ready") for each in bindings.values()]
    return "".join([*pieces, source[last:]]), tuple(kinds), tuple(frames)
