"""Which of Python's expression trees are FlowLang expressions: a list of what is allowed, nothing else."""

from __future__ import annotations

import ast
from collections.abc import Callable

from flowlang.expressions import codes, hints
from flowlang.expressions.syntax import Expression, Problem
from flowlang.expressions.tokens import MAX_DEPTH, MAX_NODES

_LEAVES = (ast.Name, ast.Constant)
_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_UNARY = (ast.Not, ast.USub, ast.UAdd)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
_HELPERS = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_FORMS: dict[type[ast.AST], str] = {
    ast.Lambda: "functions to write",
    ast.NamedExpr: "assignment",
    ast.JoinedStr: "f-strings",
    ast.Await: "`await`",
    ast.Yield: "`yield`",
    ast.YieldFrom: "`yield`",
    ast.Starred: "star-arguments",
}


def check(expression: Expression) -> list[Problem]:
    """What in the tree of `expression` is not part of the language. Attribute names are put back from the source."""
    return _Walk(expression).run()


class _Walk:
    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.problems: list[Problem] = []
        self.nodes = 0

    def run(self) -> list[Problem]:
        self.visit(self.expression.tree, 1)
        if self.nodes > MAX_NODES:
            self.limit(f"this expression has more than {MAX_NODES} parts")
        return self.problems

    def limit(self, message: str) -> None:
        start = self.expression.offset
        end = start + len(self.expression.source)
        self.problems = [Problem(codes.LIMIT, message, start, end, suggestion="name a part of it in a `set` step")]

    def refuse(self, node: ast.AST, message: str, *, code: str = codes.FORM, suggestion: str | None = None) -> None:
        start, end = self.expression.span_of(node)
        self.problems.append(Problem(code, message, start, end, suggestion=suggestion))

    def text(self, node: ast.AST) -> str:
        start, end = self.expression.span_of(node)
        offset = self.expression.offset
        return self.expression.source[start - offset : end - offset]

    def visit(self, node: ast.AST, depth: int) -> None:
        self.nodes += 1
        if depth > MAX_DEPTH:
            if self.nodes <= MAX_NODES:
                self.limit(f"this expression is nested deeper than {MAX_DEPTH} levels")
                self.nodes = MAX_NODES
            return
        if self.nodes > MAX_NODES:
            return
        rule = _RULES.get(type(node))
        if rule is None:
            what = _FORMS.get(type(node), f"`{type(node).__name__}`")
            self.refuse(node, f"expressions have no {what}")
            return
        for child in rule(self, node):
            self.visit(child, depth + 1)


def _attribute(walk: _Walk, node: ast.Attribute) -> list[ast.AST]:
    end = walk.expression.end_of(node)
    node.attr = walk.expression.source[end - len(node.attr) : end]
    return [node.value]


def _subscript(walk: _Walk, node: ast.Subscript) -> list[ast.AST]:
    if isinstance(node.slice, ast.Tuple):
        walk.refuse(node.slice, "one key stands in brackets, not several")
        return [node.value]
    return [node.value, node.slice]


def _slice(walk: _Walk, node: ast.Slice) -> list[ast.AST]:
    return [each for each in (node.lower, node.upper, node.step) if each is not None]


def _binary(walk: _Walk, node: ast.BinOp) -> list[ast.AST]:
    if not isinstance(node.op, _BINARY):
        walk.refuse(node, "this operator is not part of expressions", code=codes.OPERATOR)
    return [node.left, node.right]


def _unary(walk: _Walk, node: ast.UnaryOp) -> list[ast.AST]:
    if not isinstance(node.op, _UNARY):
        walk.refuse(node, "this operator is not part of expressions", code=codes.OPERATOR)
    return [node.operand]


def _compare(walk: _Walk, node: ast.Compare) -> list[ast.AST]:
    for operator in node.ops:
        if not isinstance(operator, _COMPARISONS):
            walk.refuse(node, "`is` is not part of expressions", code=codes.OPERATOR, suggestion="compare with `==`")
    return [node.left, *node.comparators]


def _dict(walk: _Walk, node: ast.Dict) -> list[ast.AST]:
    if None in node.keys:
        walk.refuse(node, "`**` cannot spread an object here", suggestion="did you mean `merge(a, b)`?")
    return [*(key for key in node.keys if key is not None), *node.values]


def _tuple(walk: _Walk, node: ast.Tuple) -> list[ast.AST]:
    inside = walk.text(node).strip()
    bare = inside[1:-1] if inside.startswith("(") and inside.endswith(")") else inside
    walk.refuse(
        node, "expressions have no tuples", suggestion=f"did you mean the list `[{hints.short(bare.rstrip(', '))}]`?"
    )
    return list(node.elts)


def _set(walk: _Walk, node: ast.Set | ast.SetComp) -> list[ast.AST]:
    inside = walk.text(node).strip()[1:-1].strip()
    if isinstance(node, ast.Set) and inside.startswith("{") and inside.endswith("}"):
        suggestion = f"one pair of braces: `${{{hints.short(inside[1:-1].strip())}}}`"
    elif isinstance(node, ast.Set) and len(node.elts) == 1 and inside.endswith("}") is False:
        suggestion = (
            f"did you mean `${{{hints.short(inside)}}}` with one pair of braces, or the list `[{hints.short(inside)}]`?"
        )
    else:
        suggestion = f"did you mean `unique([{hints.short(inside)}])`?"
    walk.refuse(node, "expressions have no sets", suggestion=suggestion)
    return []


def _comprehension(walk: _Walk, node: ast.ListComp | ast.DictComp | ast.GeneratorExp) -> list[ast.AST]:
    parts: list[ast.AST] = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    for generator in node.generators:
        targets = generator.target.elts if isinstance(generator.target, ast.Tuple | ast.List) else [generator.target]
        for target in targets:
            if not isinstance(target, ast.Name):
                walk.refuse(target, "a comprehension gives its items plain names: `for x in …` or `for a, b in …`")
        parts.append(generator.iter)
        parts.extend(generator.ifs)
    return parts


def _generator(walk: _Walk, node: ast.GeneratorExp) -> list[ast.AST]:
    inside = walk.text(node).strip()
    bare = inside[1:-1] if inside.startswith("(") and inside.endswith(")") else inside
    walk.refuse(node, "expressions have no generators", suggestion=f"did you mean the list `[{hints.short(bare)}]`?")
    return []


def _call(walk: _Walk, node: ast.Call) -> list[ast.AST]:
    arguments: list[ast.AST] = []
    for argument in node.args:
        # `sum(x.a for x in list)`: a generator that is the only argument means the list, as people write it
        if isinstance(argument, ast.GeneratorExp) and len(node.args) == 1 and not node.keywords:
            arguments.extend(_comprehension(walk, argument))
        else:
            arguments.append(argument)
    for keyword in node.keywords:
        if keyword.arg is None:
            walk.refuse(keyword, "expressions have no star-arguments")
        arguments.append(keyword.value)
    if isinstance(node.func, ast.Attribute):
        _method(walk, node, node.func)
        return [node.func, *arguments]
    if not isinstance(node.func, ast.Name):
        walk.refuse(node, "only functions of the table can be called, by their name")
        arguments.append(node.func)
    return arguments


def _method(walk: _Walk, node: ast.Call, function: ast.Attribute) -> None:
    _attribute(walk, function)
    name = function.attr
    _, end = walk.expression.span_of(function)
    mended = hints.method(name, walk.text(function.value), [walk.text(each) for each in node.args])
    message = f"values have no methods: `{name}` is not a key that can be called"
    suggestion = f"did you mean `{mended}`?" if mended else None
    walk.problems.append(Problem(codes.METHOD, message, end - len(name), end, suggestion=suggestion))


def _children(walk: _Walk, node: ast.AST) -> list[ast.AST]:
    return [child for child in ast.iter_child_nodes(node) if not isinstance(child, _HELPERS)]


def _leaf(walk: _Walk, node: ast.AST) -> list[ast.AST]:
    return []


def _constant(walk: _Walk, node: ast.Constant) -> list[ast.AST]:
    if node.value is not None and type(node.value) not in (str, int, float, bool):
        walk.refuse(node, f"expressions have no literals like `{hints.short(walk.text(node))}`")
    return []


_Rule = Callable[..., list[ast.AST]]
_RULES: dict[type[ast.AST], _Rule] = {
    ast.Name: _leaf,
    ast.Constant: _constant,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _children,
    ast.Compare: _compare,
    ast.IfExp: _children,
    ast.List: _children,
    ast.Dict: _dict,
    ast.Tuple: _tuple,
    ast.Set: _set,
    ast.SetComp: _set,
    ast.ListComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.GeneratorExp: _generator,
    ast.Call: _call,
}
