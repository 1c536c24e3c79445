"""Values that are computed together, compiled to one Python function `(f, x) -> value`.

Most functions of a flow differ in constants only: the place of a step's outputs, the keys of a path, a text. Python's
compiler is called for the first of a shape, and for the others its constants are exchanged. So a flow of a thousand
steps compiles a few dozen functions. See `docs/design/012-code-by-shape.md`.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

from flowlang.expressions import runtime
from flowlang.expressions.functions import FUNCTIONS
from flowlang.expressions.infer import Inference
from flowlang.expressions.later import Compiled, deferred, put
from flowlang.expressions.lower import Lowering, Mark, Part, Use, Where, at, constant, constants_of, shape_of
from flowlang.expressions.syntax import Expression, Template

Evaluator = Callable[[Any, Any], Any]
Constants = tuple[Any, ...]

HELPERS: dict[str, Any] = {
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


class Code:
    """A piece of code that may stand in another.

    Pieces of one `shape` differ in their `constants` only; a `shape` of None is like no other. `build` makes the tree
    for given constants: these, or holes to be filled.
    """

    __slots__ = ("build", "constants", "shape")

    def __init__(self, shape: object, constants: Constants, build: Callable[[Constants], ast.expr]) -> None:
        self.shape = shape
        self.constants = constants
        self.build = build


Recipe = Callable[["Unit"], Code]
"""How to make a piece of code in the unit of its function. It holds all that is needed, for nothing changes it."""


class Unit:
    """Collects pieces of code and compiles them to one function.

    `template`, `condition`, `constant`, `list`, `dict` and their like return pieces that may be nested in one
    another; `function` compiles one. Only what parsed and was inferred without errors may be given.
    """

    helpers: dict[str, Any] = HELPERS
    """What a compiled function may call: its globals."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._lines = 0  # marks of all parts
        self._variables = 0
        self._objects: list[object] = []  # what the code takes from its parameter `c`
        self._works = False

    # ------------------------------------------------------------ expressions

    def condition(self, expression: Expression, where: Where, known: Inference) -> Code:
        """The value of `expression`; what is not a boolean is an error."""
        return self._lowered("condition", expression, known, where)

    def template(self, template: Template, where: Where, known: Inference) -> Code:
        """A scalar: the value of its expression when it is exactly one, else text."""
        whole = template.whole
        if whole is not None:
            return self._lowered("value", whole, known, where)
        if not template.expressions:
            return self.constant("".join(each for each in template.parts if isinstance(each, str)))
        inferred = iter(known.parts)
        codes = []
        for part in template.parts:
            if isinstance(part, str):
                codes.append(Code("text", (part,), _constant))
            else:
                codes.append(self._lowered("text", part, next(inferred), where, secret=known.secret))
        return joined("template", codes, _text)

    def _lowered(
        self, use: Use, expression: Expression, known: Inference, where: Where, *, secret: bool = False
    ) -> Code:
        bindings = known.bindings
        shape = shape_of(expression, known.types, bindings, known.roots)
        types = known.types if expression.path is None else {}  # a path is lowered the same whatever its type
        part = Part(self._lines, self._variables, use, where, expression, types, bindings, secret or known.secret)
        self.parts.append(part)
        size = _SIZES.get((use, shape)) if shape is not None else None
        if size is None:
            size = _size(part)
            if shape is not None:
                _keep(_SIZES, (use, shape), size)
        lines, variables, works = size
        if shape is not None:
            shape = (use, shape, self._lines, self._variables)
        self._lines += lines
        self._variables += variables
        self._works = self._works or works
        return Code(shape, constants_of(expression, bindings), lambda given: Lowering(part, given).lowered())

    # ------------------------------------------------------------ plain values

    def constant(self, value: object) -> Code:
        """A plain value. Lists and objects are made anew by each evaluation, so nobody shares one."""
        if value is None or value is True or value is False:
            return Code(("word", value), (), lambda _: _constant((value,)))
        if type(value) in (int, float, str, bytes):
            return Code("constant", (value,), _constant)
        if isinstance(value, Mapping):
            return self.dict([(key, self.constant(each)) for key, each in value.items()])
        if isinstance(value, (list, tuple)):
            return self.list([self.constant(each) for each in value])
        return self.shared(value)

    def shared(self, value: object) -> Code:
        """Any object: not a copy of it, the object itself."""
        self._objects.append(value)
        number = len(self._objects)  # the first place is taken: see `later`
        return Code(("object", number), (), lambda _: _object(number))

    def list(self, items: Iterable[Code]) -> Code:
        return joined("list", [_fixed(each) for each in items], lambda made: ast.List(made, ast.Load(), **at(1)))

    def tuple_of(self, items: Iterable[Code]) -> Code:
        return joined("tuple", [_fixed(each) for each in items], lambda made: ast.Tuple(made, ast.Load(), **at(1)))

    def dict(self, entries: Iterable[tuple[str, Code]]) -> Code:
        pairs = [*entries]
        names = tuple([name for name, _ in pairs])

        def made(values: Sequence[ast.expr]) -> ast.expr:
            return ast.Dict([constant(name, 1) for name in names], [*values], **at(1))

        return joined(("dict", names), [code for _, code in pairs], made)

    # ------------------------------------------------------------ pieces together

    def call(self, function: Callable[..., object], arguments: Iterable[Code]) -> Code:
        """What `function` makes of the values of `arguments`."""
        pieces = [self.shared(function), *arguments]
        return joined("call", pieces, lambda made: ast.Call(made[0], made[1:], [], **at(1)))

    def all_of(self, conditions: Sequence[Code]) -> Code:
        """Whether each of some conditions holds; those behind one that does not are not looked at."""
        return self._logic("and", ast.And(), conditions)

    def any_of(self, conditions: Sequence[Code]) -> Code:
        return self._logic("or", ast.Or(), conditions)

    def _logic(self, word: str, operator: ast.boolop, conditions: Sequence[Code]) -> Code:
        if len(conditions) == 1:
            return conditions[0]
        return joined(word, conditions, lambda made: ast.BoolOp(operator, made, **at(1)))

    def negated(self, condition: Code) -> Code:
        return joined("not", [condition], lambda made: ast.UnaryOp(ast.Not(), made[0], **at(1)))

    # ------------------------------------------------------------ the function

    @classmethod
    def later(cls, recipe: Recipe, name: str) -> Evaluator:
        """The function that `recipe` gives in a unit of its own, compiled when it is first called."""

        def made() -> Compiled:
            unit = cls()
            return unit.compiled(recipe(unit))

        return deferred(made, cls.helpers, name)

    def function(self, body: Code, name: str) -> Evaluator:
        """The same, compiled at once. A unit is good for one function."""
        made = self.compiled(body)
        function = FunctionType(made.code, self.helpers, name, ([None],))
        put(made, function)
        return function

    def compiled(self, body: Code) -> Compiled:
        return Compiled(self._code(body), self._objects, {"parts": self.parts})

    def _code(self, body: Code) -> CodeType:
        objects = bool(self._objects)
        if body.shape is None:
            return _compiled(body.build(body.constants), objects=objects, works=self._works)
        key = (body.shape, self._works)
        form = _FORMS.get(key)
        if form is None:
            holes = tuple([complex(0, number) for number in range(1, len(body.constants) + 1)])
            form = _Form(_compiled(body.build(holes), objects=objects, works=self._works))
            _keep(_FORMS, key, form)
        if form.folded:
            return _compiled(body.build(body.constants), objects=objects, works=self._works)
        return form.filled(body.constants)


def _constant(given: Constants) -> ast.expr:
    return constant(given[0], 1)


def _object(number: int) -> ast.expr:
    return ast.Subscript(ast.Name("c", ast.Load(), **at(1)), constant(number, 1), ast.Load(), **at(1))


def _text(made: list[ast.expr]) -> ast.expr:
    return ast.JoinedStr(
        [each if isinstance(each, ast.Constant) else ast.FormattedValue(each, -1, None, **at(1)) for each in made],
        **at(1),
    )


def joined(word: object, codes: Sequence[Code], make: Callable[[list[ast.expr]], ast.expr]) -> Code:
    """Several pieces in one."""
    shapes = [each.shape for each in codes]
    constants: list[Any] = []
    for each in codes:
        constants += each.constants

    def build(given: Constants) -> ast.expr:
        made, first = [], 0
        for each in codes:
            made.append(each.build(given[first : first + len(each.constants)]))
            first += len(each.constants)
        return make(made)

    return Code(None if None in shapes else (word, *shapes), tuple(constants), build)


def _fixed(code: Code) -> Code:
    """A constant in a list as part of the shape: Python folds a list of constants into one, which leaves no holes."""
    if code.shape != "constant":
        return code
    written = repr(code.constants[0])
    shape = ("constant", written) if len(written) <= _LONGEST_CONSTANT else None
    return Code(shape, (), lambda _: _constant(code.constants))


_LONGEST_CONSTANT = 100  # characters


# ---------------------------------------------------------------- code by shape

_MOST = 2000  # shapes whose code is kept; more would be no shapes, and only take memory
_SIZES: dict[object, tuple[int, int, bool]] = {}  # of expressions: their marks and variables, and whether they work
_FORMS: dict[object, _Form] = {}


def _keep(kept: dict[object, Any], key: object, value: object) -> None:
    if len(kept) >= _MOST:
        kept.clear()
    kept[key] = value


def _size(part: Part) -> tuple[int, int, bool]:
    lowering = Lowering(part, constants_of(part.expression, part.bindings))
    lowering.lowered()
    return len(lowering.marks), lowering.taken - part.variables, lowering.works


class _Form:
    """Compiled code with holes: complex numbers, which no flow can write. `holes` are the places of constants and which
    goes there, `inner` those of code inside (a comprehension's) with holes of its own."""

    __slots__ = ("code", "constants", "folded", "holes", "inner")

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.constants = [*code.co_consts]
        self.holes = [(place, int(each.imag) - 1) for place, each in enumerate(self.constants) if type(each) is complex]
        forms = [(place, _Form(each)) for place, each in enumerate(self.constants) if isinstance(each, CodeType)]
        self.inner: list[tuple[int, _Form]] = [(place, form) for place, form in forms if form.holes or form.inner]
        self.folded: bool = any(_holds_hole(each) for each in self.constants) or any(form.folded for _, form in forms)

    def filled(self, given: Constants) -> CodeType:
        if not self.holes and not self.inner:
            return self.code
        constants = self.constants.copy()
        for place, number in self.holes:
            constants[place] = given[number]
        for place, form in self.inner:
            constants[place] = form.filled(given)
        return self.code.replace(co_consts=tuple(constants))


def _holds_hole(constant: object) -> bool:
    """Whether Python has folded a hole into a constant of its own making, where it cannot be filled."""
    return isinstance(constant, (tuple, frozenset)) and any(
        isinstance(each, complex) or _holds_hole(each) for each in constant
    )


def _compiled(body: ast.expr, *, objects: bool, works: bool) -> CodeType:
    if works:
        # a budget is always true, so `and` goes on to the body
        made = ast.Call(ast.Name("_Work", ast.Load(), **at(1)), [ast.Name("x", ast.Load(), **at(1))], [], **at(1))
        budget = ast.NamedExpr(ast.Name("b", ast.Store(), **at(1)), made, **at(1))
        body = ast.BoolOp(ast.And(), [budget, body], **at(1))
    names = ["f", "x", "c"] if objects else ["f", "x"]
    given = [ast.arg(each, lineno=1, col_offset=0, end_lineno=1, end_col_offset=0) for each in names]
    parameters = ast.arguments([], given, None, [], [], None, [])
    module = compile(ast.Expression(ast.Lambda(parameters, body, **at(1))), "<flowlang>", "eval")
    return next(each for each in module.co_consts if isinstance(each, CodeType))


def mark_at(evaluator: Evaluator, line: int) -> Mark | None:
    """What a line in a traceback stands for."""
    parts: list[Part] = getattr(evaluator, "parts", [])
    number = bisect_left(parts, line, key=lambda each: each.before) - 1
    if number < 0:
        return None
    part = parts[number]
    lowering = Lowering(part, constants_of(part.expression, part.bindings))
    lowering.lowered()
    return lowering.marks[line - part.before - 1] if line - part.before <= len(lowering.marks) else None
