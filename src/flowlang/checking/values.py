"""Values of a flow file, checked against what is wanted and turned into evaluators, which are compiled when they are
first called."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from flowlang.checking.checker import Checker
from flowlang.checking.references import keys_of
from flowlang.checking.rules import literal_credential, object_keys, secret_stored, sql_text, stream_kept, value_type
from flowlang.checking.scope import Scope
from flowlang.connections._sql.dialect import Dialect
from flowlang.connections._sql.holes import holes
from flowlang.document import model
from flowlang.document.nodes import Scalar
from flowlang.expressions.infer import Inference, infer, infer_condition, infer_template
from flowlang.expressions.narrowing import path_key, proven
from flowlang.expressions.runtime import text as as_text
from flowlang.expressions.syntax import Expression, Template
from flowlang.expressions.types import ANY, STRING, Type, accepts, array, holds_stream, record, union
from flowlang.expressions.unit import Code, Recipe, Unit
from flowlang.plan import Evaluator
from flowlang.records import frozen
from flowlang.tasks.values import Sql, as_data, url_path

_OBJECT, _LIST = Type("object"), Type("array")
_PARTED = frozenset({"array", "object", "stream"})  # kinds of types that may hold a stream
_ROOTS_NOTED = frozenset({"env", "secrets"})


@frozen
class Wanted:
    """What a place in the file wants: `what` names it for messages (`limit`, `output total`). `keeps`: what stands
    there is kept as a value, so that no stream may. `optional`: null may stand there whatever its type. `query`: what
    expressions give there is marked as data."""

    what: str
    type: Type = ANY
    keeps: bool = False
    optional: bool = False
    query: bool = False


def constant(value: object) -> Recipe:
    return lambda unit: unit.constant(value)


def in_dict(entries: Sequence[tuple[str, Recipe]]) -> Recipe:
    return lambda unit: unit.dict([(name, each(unit)) for name, each in entries])


class Compiler:
    """Checks the values of one evaluator, and gives the recipe for the code of each.

    `dialect` is that of the database whose statements stand in them. A recipe holds what the check found out, and
    nothing of the scope, which goes on changing.
    """

    __slots__ = ("checker", "dialect", "scope", "statements")

    def __init__(self, checker: Checker, scope: Scope, dialect: Dialect | None = None) -> None:
        self.checker = checker
        self.scope = scope
        self.dialect = dialect
        self.statements: list[tuple[str, ...]] = []  # of SQL, as the texts around their expressions

    def function(self, body: Recipe, name: str) -> Evaluator:
        return self.checker.unit.later(body, name)

    # ------------------------------------------------------------ values

    def value(self, value: model.Value, wanted: Wanted) -> tuple[Recipe, Type]:
        """The recipe for `value` and its type; what does not fit `wanted` is reported where it stands."""
        if wanted.type.kind == "sql":
            return self._sql(value, wanted)
        if isinstance(value, model.Constant):
            return self._constant(value, wanted)
        if isinstance(value, model.Computed):
            return self._computed(value, wanted)
        if isinstance(value, model.ListValue):
            return self._list(value, wanted)
        return self._object(value, wanted)

    def _constant(self, value: model.Constant, wanted: Wanted) -> tuple[Recipe, Type]:
        plain, given = value_type.as_wanted(value.value, wanted.type)
        if isinstance(plain, str) and "://" in plain:
            self._password(value, wanted)
        if self._fits(given, wanted, value) and wanted.type.enum is not None:
            self.checker.add(value_type.choice(wanted.what, wanted.type, value))
        return constant(plain), given

    def _computed(self, value: model.Computed, wanted: Wanted) -> tuple[Recipe, Type]:
        whole = value.template.whole
        if whole is None and "://" in value.scalar.text:
            self._password(value, wanted)
        inference = self._inferred(value.template, value.scalar)
        given = inference.type
        if whole is not None and given.nullable and path_key(whole.tree) in self.scope.present:
            given = given.not_null()
        if not inference.usable or self.checker.unparsed:
            if not inference.problems:
                self._check(given, wanted, value)
            return constant(None), given
        self._check(given, wanted, value)
        template, scalar = value.template, value.scalar
        if wanted.query:
            return lambda unit: unit.call(as_data, [unit.template(template, scalar, inference)]), given
        return lambda unit: unit.template(template, scalar, inference), given

    def _password(self, value: model.Constant | model.Computed, wanted: Wanted) -> None:
        for span, password, finding in literal_credential.in_url(wanted.what, value):
            self.checker.add([finding])
            self.checker.literals.append((span, password))

    def _inferred(self, template: Template, scalar: Scalar) -> Inference:
        """What is known of a scalar with expressions; their problems are reported."""
        whole = template.whole
        if whole is not None:
            inference = infer(whole, self.scope, present=self.scope.present)
        else:
            inference = infer_template(template, self.scope, present=self.scope.present)
        if inference.problems:
            self.checker.report_problems(inference.problems, scalar)
        if not _ROOTS_NOTED.isdisjoint(inference.reads):
            self._note(inference, template.expressions, scalar)
        return inference

    def _check(self, given: Type, wanted: Wanted, value: model.Computed) -> None:
        if wanted.keeps and holds_stream(given):
            self.checker.add(stream_kept.check(wanted.what, given, value))
        elif self._fits(given, wanted, value) and wanted.type.enum is not None:
            self.checker.add(value_type.apart(wanted.what, wanted.type, given, value))

    def _list(self, value: model.ListValue, wanted: Wanted) -> tuple[Recipe, Type]:
        if not self._fits(_LIST, wanted, value):
            wanted = Wanted(wanted.what, query=wanted.query)
        kind = wanted.type.option("array")
        inner = kind.items if kind.kind in ("array", "stream") and kind.items else ANY
        parts = [
            self.value(each, Wanted(f"{wanted.what}[{index}]", inner, True, query=wanted.query))
            for index, each in enumerate(value.items)
        ]
        given = array(union(*[each for _, each in parts]) if parts else ANY)
        items = [recipe for recipe, _ in parts]
        return lambda unit: unit.list([each(unit) for each in items]), given

    def _object(self, value: model.ObjectValue, wanted: Wanted) -> tuple[Recipe, Type]:
        kind = wanted.type.option("object")
        if self._fits(_OBJECT, wanted, value):
            self.checker.add(object_keys.check(wanted.what, kind, value))
        else:
            kind = ANY
        fields = kind.fields or {}
        other = kind.items or ANY
        parts = []
        for name, each in value.entries:
            inner = Wanted(f"{wanted.what}.{name.text}", fields.get(name.text, other), True, query=wanted.query)
            parts.append((name.text, *self.value(each, inner)))
        if self.dialect is not None and "params" in fields and fields.get("query", ANY).kind == "sql":
            self.checker.add(sql_text.entry(value, self.dialect))
        given = record({name: type_ for name, _, type_ in parts})
        return in_dict([(name, recipe) for name, recipe, _ in parts]), given

    def _fits(self, given: Type, wanted: Wanted, value: model.Value) -> bool:
        if accepts(wanted.type, given) or (wanted.type.kind == "stream" and given.kind == "array"):
            return True
        if wanted.optional and (given.kind == "null" or accepts(wanted.type, given.not_null())):
            return True
        self.checker.add(value_type.mismatch(wanted.what, wanted.type, given, value.span, value, self.checker.inputs))
        return False

    # ------------------------------------------------------------ texts

    def text(self, value: model.Value, what: str) -> tuple[Recipe, Type]:
        """A value that is put into text, also when it is one expression and nothing else."""
        if isinstance(value, model.Constant) and value.value is not None:
            return constant(as_text(value.value)), STRING
        if isinstance(value, model.Computed) and value.template.whole is not None:
            value = model.Computed(Template(("", value.template.whole)), value.at, value.scalar)
        return self.value(value, Wanted(what, STRING))

    def _sql(self, value: model.Value, wanted: Wanted) -> tuple[Recipe, Type]:
        """A SQL text: its expressions become values beside the text, never part of it."""
        if isinstance(value, model.Constant) and isinstance(value.value, str):
            self.statements.append((value.value,))
            return constant(Sql((value.value,))), STRING
        if not isinstance(value, model.Computed):
            return self.value(value, Wanted(wanted.what, STRING.or_null() if wanted.type.nullable else STRING))
        texts, expressions = sql_text.split(value.template)
        self.statements.append(texts)
        bound = Wanted(wanted.what, keeps=True)
        recipes, secret = [], False
        for hole, expression in zip(holes(texts, self.dialect), expressions, strict=True):
            recipe, given = self._bound(expression, value, bound)
            if hole.kind != "value":
                self.checker.add(sql_text.check(hole, expression, given, value.scalar))
            secret = secret or given.secret
            if given.secret and given.kind == "identifier":
                span = value.scalar.locate(*expression.span_of(expression.tree))
                self.checker.add(secret_stored.stored("a name in this statement", "servers log it", span))
            recipes.append(recipe)

        def made(unit: Unit) -> Code:
            return unit.call(Sql, [unit.shared(texts), unit.tuple_of([each(unit) for each in recipes])])

        return made, replace(STRING, secret=True) if secret else STRING

    def path(self, value: model.Value, wanted: Wanted) -> tuple[Recipe, Type]:
        """The path of a URL: the expressions in it are encoded, so that none ends its segment or leads elsewhere."""
        if not isinstance(value, model.Computed) or value.template.whole is not None:
            return self.value(value, wanted)
        texts, expressions = sql_text.split(value.template)
        recipes, secret = [], False
        for expression in expressions:
            part = model.Computed(Template((expression,)), value.at, value.scalar)
            recipe, given = self._computed(part, Wanted(wanted.what))
            secret = secret or given.secret
            recipes.append(recipe)

        def made(unit: Unit) -> Code:
            return unit.call(url_path, [unit.shared(texts), unit.tuple_of([each(unit) for each in recipes])])

        return made, replace(STRING, secret=True) if secret else STRING

    def _bound(self, expression: Expression, value: model.Computed, wanted: Wanted) -> tuple[Recipe, Type]:
        """An expression in a statement. Most are paths to a plain value, of which there is nothing to say."""
        scalar = value.scalar
        inference = infer(expression, self.scope, present=self.scope.present)
        given = inference.type
        if inference.problems or given.nullable or given.kind in _PARTED or self.checker.unparsed:
            return self._computed(model.Computed(Template((expression,)), value.at, scalar), wanted)
        if not _ROOTS_NOTED.isdisjoint(inference.reads):
            self._note(inference, (expression,), scalar)
        return lambda unit: unit.template(Template((expression,)), scalar, inference), given

    # ------------------------------------------------------------ conditions

    def guard(self, guard: model.Guard) -> Recipe:
        """The recipe for an `if`: one expression, or a group of them."""
        if isinstance(guard, model.Condition):
            inference = infer_condition(guard.expression, self.scope, present=self.scope.present)
            self.checker.report_problems(inference.problems, guard.scalar)
            self._note(inference, (guard.expression,), guard.scalar)
            if not inference.usable or self.checker.unparsed:
                return constant(False)
            expression, scalar = guard.expression, guard.scalar
            return lambda unit: unit.condition(expression, scalar, inference)
        kind, members = guard.kind, self._members(guard) or [constant(guard.kind != "any")]

        def made(unit: Unit) -> Code:
            codes = [each(unit) for each in members]
            if kind == "all":
                return unit.all_of(codes)
            return unit.any_of(codes) if kind == "any" else unit.negated(unit.any_of(codes))

        return made

    def _members(self, guard: model.ConditionGroup) -> list[Recipe]:
        """Each member may rely on those before it: they decide whether it is looked at."""
        before = self.scope.present
        found = []
        for each in guard.members:
            found.append(self.guard(each))
            self.scope.present = self.scope.present | facts(each, guard.kind == "all")
        self.scope.present = before
        return found

    def _note(self, inference: Inference, expressions: tuple[Expression, ...], scalar: Scalar) -> None:
        """Remember which variables and secrets the run must have, and where they are named first."""
        for root, names in (("env", self.checker.env_names), ("secrets", self.checker.secret_names)):
            if root not in inference.reads:
                continue
            for expression in expressions:
                for key, node in keys_of(expression, root):
                    if key not in names:
                        names[key] = scalar.locate(*expression.span_of(node))


def facts(guard: model.Guard, outcome: bool) -> frozenset[str]:
    """The paths that are there and not null when `guard` came out as `outcome`."""
    if isinstance(guard, model.Condition):
        expression = guard.expression
        return proven(expression.tree, outcome) if expression.path is None else frozenset()
    inner = outcome if guard.kind != "none" else not outcome
    if inner is (guard.kind == "all"):
        return frozenset().union(*(facts(each, inner) for each in guard.members))
    if len(guard.members) == 1:
        return facts(guard.members[0], inner)
    return frozenset()


_MOVING = frozenset({"now", "uuid", "random"})


@lru_cache(maxsize=512)  # each condition is asked for several times, and many are written again
def _in_words(expression: Expression) -> str | None:
    """An expression in one spelling; None when it may have another value each time."""
    if expression.path is not None:
        return expression.source
    if any(word in expression.source for word in _MOVING):  # only then is it worth a walk
        calls = (each for each in ast.walk(expression.tree) if isinstance(each, ast.Call))
        if any(isinstance(each.func, ast.Name) and each.func.id in _MOVING for each in calls):
            return None
    return ast.unparse(expression.tree)


def held(guard: model.Guard, outcome: bool) -> frozenset[str]:
    """What holds when `guard` came out as `outcome`, as words to compare: the same condition is the same word. What a
    flow reads never changes once it is there, so a condition that held goes on holding, unless it asks the clock."""
    if isinstance(guard, model.Condition):
        words = _in_words(guard.expression)
        return frozenset({words if outcome else f"not ({words})"} if words is not None else ())
    inner = outcome if guard.kind != "none" else not outcome
    if inner is (guard.kind == "all") or len(guard.members) == 1:
        return frozenset().union(*(held(each, inner) for each in guard.members))
    parts = [held(each, True) for each in guard.members]
    if not all(parts):
        return frozenset()
    return frozenset({f"{outcome} {guard.kind} {[sorted(each) for each in parts]}"})


def evaluator(checker: Checker, scope: Scope, value: model.Value, wanted: Wanted, name: str) -> tuple[Evaluator, Type]:
    """One value as a function of its own."""
    compiler = Compiler(checker, scope)
    recipe, given = compiler.value(value, wanted)
    return compiler.function(recipe, name), given


def condition(checker: Checker, scope: Scope, guard: model.Guard, name: str) -> Evaluator:
    compiler = Compiler(checker, scope)
    return compiler.function(compiler.guard(guard), name)


def text(checker: Checker, scope: Scope, value: model.Value, what: str) -> tuple[Evaluator, Type]:
    """A value that is put into text, as a function of its own."""
    compiler = Compiler(checker, scope)
    recipe, given = compiler.text(value, what)
    return compiler.function(recipe, what), given
