"""Values of a flow file, checked against what is wanted and compiled into evaluators."""

from __future__ import annotations

import ast
from dataclasses import replace
from functools import lru_cache

from flowlang.checking.checker import Checker
from flowlang.checking.references import keys_of
from flowlang.checking.rules import literal_credential, object_keys, secret_stored, sql_text, stream_kept, value_type
from flowlang.checking.scope import Scope
from flowlang.connections._sql_text import Dialect, holes
from flowlang.document import model
from flowlang.document.nodes import Scalar
from flowlang.expressions.infer import Inference, infer, infer_condition, infer_template
from flowlang.expressions.narrowing import path_key, proven
from flowlang.expressions.runtime import text as as_text
from flowlang.expressions.syntax import Expression, Template
from flowlang.expressions.types import ANY, STRING, Type, accepts, array, holds_stream, record, union
from flowlang.expressions.unit import Code
from flowlang.plan import Evaluator
from flowlang.records import frozen
from flowlang.tasks.values import Sql

_OBJECT, _LIST = Type("object"), Type("array")


@frozen
class Wanted:
    """What a place in the file wants: `what` names it for messages (`limit`, `output total`). `keeps`: what stands
    there is kept as a value, so that no stream may. `optional`: null may stand there whatever its type."""

    what: str
    type: Type = ANY
    keeps: bool = False
    optional: bool = False


class Compiler:
    """Compiles the values of one evaluator: checks each, and collects its code in one function.

    `dialect` is that of the database whose statements stand in them.
    """

    def __init__(self, checker: Checker, scope: Scope, dialect: Dialect | None = None) -> None:
        self.checker = checker
        self.scope = scope
        self.dialect = dialect
        self.unit = checker.unit()
        self.statements: list[tuple[str, ...]] = []  # of SQL, as the texts around their expressions

    def function(self, body: Code, name: str) -> Evaluator:
        return self.unit.function(body, name)

    # ------------------------------------------------------------ values

    def value(self, value: model.Value, wanted: Wanted) -> tuple[Code, Type]:
        """The code of `value` and its type; what does not fit `wanted` is reported where it stands."""
        if wanted.type.kind == "sql":
            return self._sql(value, wanted)
        if isinstance(value, model.Constant):
            return self._constant(value, wanted)
        if isinstance(value, model.Computed):
            return self._computed(value, wanted)
        if isinstance(value, model.ListValue):
            return self._list(value, wanted)
        return self._object(value, wanted)

    def _constant(self, value: model.Constant, wanted: Wanted) -> tuple[Code, Type]:
        plain, given = value_type.as_wanted(value.value, wanted.type)
        if isinstance(plain, str) and "://" in plain:
            self._password(value, wanted)
        if self._fits(given, wanted, value):
            self.checker.add(value_type.choice(wanted.what, wanted.type, value))
        return self.unit.constant(plain), given

    def _computed(self, value: model.Computed, wanted: Wanted) -> tuple[Code, Type]:
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
            return self.unit.constant(None), given
        self._check(given, wanted, value)
        return self.unit.template(value.template, self.scope, value.scalar, inference), given

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
        self.checker.report_problems(inference.problems, scalar)
        self._note(inference, template.expressions, scalar)
        return inference

    def _check(self, given: Type, wanted: Wanted, value: model.Computed) -> None:
        if wanted.keeps and holds_stream(given):
            self.checker.add(stream_kept.check(wanted.what, given, value))
        elif self._fits(given, wanted, value):
            self.checker.add(value_type.apart(wanted.what, wanted.type, given, value))

    def _list(self, value: model.ListValue, wanted: Wanted) -> tuple[Code, Type]:
        if not self._fits(_LIST, wanted, value):
            wanted = Wanted(wanted.what)
        kind = wanted.type.option("array")
        inner = kind.items if kind.kind in ("array", "stream") and kind.items else ANY
        parts = [
            self.value(each, Wanted(f"{wanted.what}[{index}]", inner, True)) for index, each in enumerate(value.items)
        ]
        given = array(union(*[each for _, each in parts]) if parts else ANY)
        return self.unit.list([code for code, _ in parts]), given

    def _object(self, value: model.ObjectValue, wanted: Wanted) -> tuple[Code, Type]:
        kind = wanted.type.option("object")
        if self._fits(_OBJECT, wanted, value):
            self.checker.add(object_keys.check(wanted.what, kind, value))
        else:
            kind = ANY
        fields = kind.fields or {}
        other = kind.items or ANY
        parts = []
        for name, each in value.entries:
            inner = Wanted(f"{wanted.what}.{name.text}", fields.get(name.text, other), True)
            parts.append((name.text, *self.value(each, inner)))
        given = record({name: type_ for name, _, type_ in parts})
        return self.unit.dict([(name, code) for name, code, _ in parts]), given

    def _fits(self, given: Type, wanted: Wanted, value: model.Value) -> bool:
        if accepts(wanted.type, given) or (wanted.type.kind == "stream" and given.kind == "array"):
            return True
        if wanted.optional and (given.kind == "null" or accepts(wanted.type, given.not_null())):
            return True
        self.checker.add(value_type.mismatch(wanted.what, wanted.type, given, value.span, value, self.checker.inputs))
        return False

    # ------------------------------------------------------------ texts

    def text(self, value: model.Value, what: str) -> tuple[Code, Type]:
        """A value that is put into text, also when it is one expression and nothing else."""
        if isinstance(value, model.Constant) and value.value is not None:
            return self.unit.constant(as_text(value.value)), STRING
        if isinstance(value, model.Computed) and value.template.whole is not None:
            value = model.Computed(Template(("", value.template.whole)), value.at, value.scalar)
        return self.value(value, Wanted(what, STRING))

    def _sql(self, value: model.Value, wanted: Wanted) -> tuple[Code, Type]:
        """A SQL text: its expressions become values beside the text, never part of it."""
        if isinstance(value, model.Constant) and isinstance(value.value, str):
            self.statements.append((value.value,))
            return self.unit.constant(Sql((value.value,))), STRING
        if not isinstance(value, model.Computed):
            return self.value(value, Wanted(wanted.what, STRING.or_null() if wanted.type.nullable else STRING))
        texts, expressions = sql_text.split(value.template)
        self.statements.append(texts)
        codes, secret = [], False
        for hole, expression in zip(holes(texts, self.dialect), expressions, strict=True):
            part = model.Computed(Template((expression,)), value.at, value.scalar)
            code, given = self._computed(part, Wanted(f"{wanted.what}", keeps=True))
            self.checker.add(sql_text.check(hole, expression, given, value.scalar))
            secret = secret or given.secret
            if given.secret and given.kind == "identifier":
                self.checker.add(secret_stored.stored("a name in this statement", "servers log it", value))
            codes.append(code)
        made = self.unit.call(Sql, [self.unit.shared(texts), self.unit.tuple_of(codes)])
        return made, replace(STRING, secret=True) if secret else STRING

    # ------------------------------------------------------------ conditions

    def guard(self, guard: model.Guard) -> Code:
        """The code of an `if`: one expression, or a group of them."""
        if isinstance(guard, model.Condition):
            inference = infer_condition(guard.expression, self.scope, present=self.scope.present)
            self.checker.report_problems(inference.problems, guard.scalar)
            self._note(inference, (guard.expression,), guard.scalar)
            if not inference.usable or self.checker.unparsed:
                return self.unit.constant(False)
            return self.unit.condition(guard.expression, self.scope, guard.scalar, inference)
        members = self._members(guard) or [self.unit.constant(guard.kind != "any")]
        if guard.kind == "all":
            return self.unit.all_of(members)
        joined = self.unit.any_of(members)
        return joined if guard.kind == "any" else self.unit.negated(joined)

    def _members(self, guard: model.ConditionGroup) -> list[Code]:
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
        return proven(guard.expression.tree, outcome)
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
    code, given = compiler.value(value, wanted)
    return compiler.function(code, name), given


def condition(checker: Checker, scope: Scope, guard: model.Guard, name: str) -> Evaluator:
    compiler = Compiler(checker, scope)
    return compiler.function(compiler.guard(guard), name)


def text(checker: Checker, scope: Scope, value: model.Value, what: str) -> tuple[Evaluator, Type]:
    """A value that is put into text, as a function of its own."""
    compiler = Compiler(checker, scope)
    code, given = compiler.text(value, what)
    return compiler.function(code, what), given
