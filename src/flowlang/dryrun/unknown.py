"""Computing with values that are not known yet.

`Unknown` stands for a value that only a run can give. Whatever looks at one raises `Undecided`, so a compiled
expression gives either the very value that a run would compute or `Undecided`, and never a guess. It is the same code
that a run executes: only the helpers that it calls are others (`HELPERS`), and each `${…}` is a leaf of its own, whose
source stands for its value when that is not known.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from flowlang.expressions.infer import Inference
from flowlang.expressions.lower import Where, at, constant
from flowlang.expressions.runtime import Work, look
from flowlang.expressions.syntax import Expression, Template
from flowlang.expressions.types import holds_secret
from flowlang.expressions.unit import HELPERS as PLAIN_HELPERS
from flowlang.expressions.unit import Code, Constants, Evaluator, Recipe, Unit, joined


class Undecided(Exception):
    """What was asked for depends on a value that is not known."""


class Unknown:
    """A value that only a run can give. `source` is what the flow says in its place, as `${…}`."""

    __slots__ = ("source",)

    def __init__(self, source: str = "…") -> None:
        self.source = source

    def __getitem__(self, key: object) -> Unknown:
        return Unknown()

    def _undecided(self, *_: object) -> NoReturn:
        raise Undecided

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _undecided
    __bool__ = __len__ = __iter__ = __contains__ = __index__ = _undecided
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _undecided
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __neg__ = __pos__ = _undecided

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Unknown({self.source})"


def is_known(value: object) -> bool:
    """Whether `value` holds nothing unknown, at any depth."""
    if isinstance(value, Unknown):
        return False
    if isinstance(value, Mapping):
        return all(map(is_known, value.values()))
    return all(map(is_known, value)) if isinstance(value, (list, tuple)) else True


class Missing(dict[str, Any]):
    """An object whose missing keys are not known: the environment and the secrets of the run to come."""

    def __missing__(self, key: str) -> Unknown:
        return Unknown()


# ---------------------------------------------------------------- what compiled expressions call here


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        if not all(map(is_known, arguments)) or not all(map(is_known, named.values())):
            raise Undecided
        return function(*arguments, **named)

    return call


def _shallow(function: Callable[..., Any]) -> Callable[..., Any]:
    """For what only looks at a value from outside: `len`, `+` of lists."""

    def call(*arguments: Any) -> Any:
        if any(isinstance(each, Unknown) for each in arguments):
            raise Undecided
        return function(*arguments)

    return call


def _look(value: Any, *keys: Any) -> Any:
    """The end of a path, as far as it is known."""
    for key in keys:
        if isinstance(value, Unknown) or isinstance(key, Unknown):
            raise Undecided
        value = look(value, key)
    return look(value) if not isinstance(value, Unknown) else value


class _Work(Work):
    __slots__ = ()

    def each(self, values: Any, weight: int) -> Any:
        if isinstance(values, Unknown):
            raise Undecided
        return super().each(values, weight)

    def add(self, left: Any, right: Any) -> Any:
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            raise Undecided
        return super().add(left, right)


def _leaf(compute: Callable[[], Any], source: str) -> Any:
    """The value of one `${…}`; when it is not all known, what the flow says in its place."""
    try:
        value = compute()
    except Undecided:
        return Unknown(source)
    return value if is_known(value) else Unknown(source)


def _mixed(*parts: Any) -> Any:
    """A text with the values of its expressions put in."""
    if all(isinstance(each, str) for each in parts):
        return "".join(parts)
    return Unknown("".join(str(each) for each in parts))


_LAX = frozenset(("_look", "_ready", "_fallback", "_fn_len", "_add", "_Work", "__builtins__"))
HELPERS: dict[str, Any] = {
    **{name: each if name in _LAX else _strict(each) for name, each in PLAIN_HELPERS.items()},
    "_Work": _Work,
    "_look": _look,
    "_fallback": _shallow(PLAIN_HELPERS["_fallback"]),
    "_fn_len": _shallow(PLAIN_HELPERS["_fn_len"]),
    "_add": _shallow(PLAIN_HELPERS["_add"]),
    "_leaf": _leaf,
    "_mixed": _mixed,
}


# ---------------------------------------------------------------- compiling

_NO_PARAMETERS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


class _Said(Code):
    """A piece of code, and what the flow says there."""

    __slots__ = ("written",)

    def __init__(self, code: Code, written: str) -> None:
        super().__init__(code.shape, code.constants, code.build)
        self.written = written


class PartialUnit(Unit):
    """Compiles what a run would compute, each expression as a leaf of its own. A compiled function says in `written`
    what the flow says there, and in `secret` whether it reads a secret."""

    helpers = HELPERS
    secret = False

    def template(self, template: Template, where: Where, known: Inference) -> Code:
        self.secret = self.secret or known.secret or holds_secret(known.type)
        if not template.expressions:
            return super().template(template, where, known)
        if template.whole is not None:
            return _leaf_of(super().template(template, where, known), template.whole)
        inferred = iter(known.parts)
        pieces = []
        for part in template.parts:
            if isinstance(part, str):
                pieces.append(self.constant(part))
            else:
                pieces.append(_leaf_of(self._lowered("text", part, next(inferred), where, secret=known.secret), part))
        return joined(None, pieces, lambda made: ast.Call(ast.Name("_mixed", ast.Load(), **at(1)), made, [], **at(1)))

    def condition(self, expression: Expression, where: Where, known: Inference) -> Code:
        self.secret = self.secret or known.secret
        return _Said(super().condition(expression, where, known), _source(expression))

    def all_of(self, conditions: Sequence[Code]) -> Code:
        return _Said(super().all_of(conditions), " and ".join(map(_written, conditions)))

    def any_of(self, conditions: Sequence[Code]) -> Code:
        return _Said(super().any_of(conditions), " or ".join(map(_written, conditions)))

    def negated(self, condition: Code) -> Code:
        return _Said(super().negated(condition), f"not ({_written(condition)})")

    def function(self, body: Code, name: str) -> Evaluator:
        made: Any = super().function(body, name)
        made.written = _written(body)
        made.secret = self.secret
        return made  # type: ignore[no-any-return]

    @classmethod
    def later(cls, recipe: Recipe, name: str) -> Evaluator:
        """At once: what a function says about itself is known when it is compiled."""
        unit = cls()
        return unit.function(recipe(unit), name)


def _leaf_of(code: Code, expression: Expression) -> Code:
    """`code` as a leaf. Its shape is its own: what it says belongs to it."""
    source = "${" + _source(expression) + "}"

    def build(given: Constants) -> ast.expr:
        inner = ast.Lambda(_NO_PARAMETERS, code.build(given), **at(1))
        return ast.Call(ast.Name("_leaf", ast.Load(), **at(1)), [inner, constant(source, 1)], [], **at(1))

    return _Said(Code(None, code.constants, build), _source(expression))


def _source(expression: Expression) -> str:
    return " ".join(expression.source.split())


def _written(code: Code) -> str:
    return code.written if isinstance(code, _Said) else ""
