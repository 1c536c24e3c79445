"""The expressions of a service file: checked against what may be read at their place, and compiled."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from flowlang.diagnostics import Edit, Fix, Severity, Span
from flowlang.document import model
from flowlang.document.context import Context
from flowlang.document.findings import Findings
from flowlang.document.nodes import Scalar
from flowlang.exceptions import FlowExecutionError
from flowlang.expressions import explain
from flowlang.expressions.codes import UNKNOWN_NAME
from flowlang.expressions.infer import Binding, Inference, infer_condition, infer_template
from flowlang.expressions.syntax import Expression, Template
from flowlang.expressions.types import ANY, INTEGER, STRING, Type, array, holds_secret, record, type_of, union
from flowlang.expressions.unit import Code, Recipe, Unit
from flowlang.records import frozen
from flowlang.tasks.values import url_path

REPLY: Mapping[str, Type] = {"status": INTEGER, "headers": Type("object", items=STRING), "body": ANY}
"""What may be read of a reply."""
_OTHERS = {
    "inputs": "`inputs` belong to flows; an operation reads `params`",
    "env": "`env` belongs to flows; what a service needs to know is declared in its `config`",
    "secrets": "`secrets` belong to flows; a secret of a service is a setting with `secret: true`",
    "vars": "`vars` belong to flows",
    "run": "`run` belongs to flows",
}


class Roots:
    """The names that may be read at a place, in the order in which a formula is given their values."""

    def __init__(self, types: Mapping[str, Type]) -> None:
        self.types = types
        self._bindings = {
            name: Binding(type_, f"root `{name}`", slot=slot) for slot, (name, type_) in enumerate(types.items(), 1)
        }

    def lookup(self, name: str) -> Binding | None:
        found = self._bindings.get(name)
        if found is None and name in _OTHERS:
            return Binding(ANY, f"root `{name}`", "hidden", _OTHERS[name])
        return found

    def known(self) -> Iterable[tuple[str, str]]:
        return ((name, str(each.label)) for name, each in self._bindings.items())

    def and_(self, **types: Type) -> Roots:
        return Roots({**self.types, **types})


@frozen
class Formula:
    """A value that is computed. `constant`: it depends on nothing; `type` is what is known of it."""

    evaluate: Callable[[Any, Any], Any]
    type: Type
    constant: bool

    def __call__(self, *roots: Any) -> Any:
        """Its value for these values of its roots. Raises FlowExecutionError (`expression`) that names the place."""
        frame = [None, *roots]
        try:
            return self.evaluate(frame, _READER)
        except Exception as error:
            fault = explain(self.evaluate, error, frame)
            if fault.where is None:
                raise
            place: Span = fault.where.locate(fault.start, fault.end)
            raise FlowExecutionError(f"{place}: {fault.message}", error_class="expression") from error

    def attempted(self, *roots: Any) -> Any:
        """Its value, null where it cannot be computed: replies that are refusals have many forms."""
        try:
            return self(*roots)
        except FlowExecutionError:
            return None


class _Reader:
    """What a formula asks for the time, a UUID or a random number."""

    def read(self, kind: str, position: str) -> Any:
        from datetime import UTC, datetime
        from random import SystemRandom

        return datetime.now(UTC) if kind == "now" else uuid.uuid4() if kind == "uuid" else SystemRandom().random()


_READER = _Reader()


class Templates:
    """Compiles the values of one service file; what is wrong with them is added to its findings."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def _findings(self) -> Findings:
        return self._context.findings

    def formula(self, value: model.Value, roots: Roots, name: str, *, omit: bool = False) -> Formula:
        """`value` where the `roots` may be read. `omit`: of the objects written in it, an entry that is computed and
        null is left out."""
        recipe, given = self.value(value, roots, omit=omit)
        return Formula(Unit.later(recipe, name), given, not _computes(value))

    def together(self, parts: Mapping[str, tuple[Recipe, Type]], name: str) -> Formula:
        """Several values as one object."""
        entries = [(key, recipe) for key, (recipe, _) in parts.items()]
        kind = record({key: given for key, (_, given) in parts.items()})
        return Formula(Unit.later(_in_dict(entries), name), kind, constant=False)

    def condition(self, scalar: Scalar, roots: Roots, name: str) -> Formula:
        """A whole text that is one condition."""
        expression = self._context.condition(scalar)
        inference = infer_condition(expression, roots)
        self._report(inference, scalar)
        if not inference.usable:
            return Formula(Unit.later(lambda unit: unit.constant(False), name), inference.type, constant=False)
        recipe: Recipe = lambda unit: unit.condition(expression, scalar, inference)  # noqa: E731 - one form of three
        return Formula(Unit.later(recipe, name), inference.type, constant=False)

    # ------------------------------------------------------------ values

    def value(self, value: model.Value, roots: Roots, *, omit: bool = False) -> tuple[Recipe, Type]:
        """The recipe for `value`, and its type."""
        if isinstance(value, model.Constant):
            plain = value.value
            return (lambda unit: unit.constant(plain)), type_of(plain)
        if isinstance(value, model.Computed):
            return self._computed(value, roots)
        if isinstance(value, model.ListValue):
            parts = [self.value(each, roots, omit=omit) for each in value.items]
            items = [recipe for recipe, _ in parts]
            kind = array(union(*[given for _, given in parts]) if parts else ANY)
            return (lambda unit: unit.list([each(unit) for each in items])), kind
        return self._object(value, roots, omit=omit)

    def _object(self, value: model.ObjectValue, roots: Roots, *, omit: bool) -> tuple[Recipe, Type]:
        parts = {name.text: self.value(each, roots, omit=omit) for name, each in value.entries}
        whole = _in_dict([(name, recipe) for name, (recipe, _) in parts.items()])
        kind = record({name: given for name, (_, given) in parts.items()})
        computed = frozenset(name.text for name, each in value.entries if isinstance(each, model.Computed))
        if not omit or not computed:
            return whole, kind
        return (lambda unit: unit.call(_without_null, [unit.shared(computed), whole(unit)])), kind

    def _computed(self, value: model.Computed, roots: Roots) -> tuple[Recipe, Type]:
        template, scalar = value.template, value.scalar
        inference = infer_template(template, roots)
        self._report(inference, scalar)
        if not inference.usable:
            return (lambda unit: unit.constant(None)), inference.type
        return (lambda unit: unit.template(template, scalar, inference)), inference.type

    def path(self, value: model.Value, roots: Roots) -> tuple[Recipe, Type]:
        """The path of a URL: the expressions in it are encoded, so that none ends its segment or leads elsewhere."""
        if not isinstance(value, model.Computed):
            return self.value(value, roots)
        template, scalar = value.template, value.scalar
        inference = infer_template(template, roots)
        self._report(inference, scalar)
        known = [inference] if template.whole is not None else [*inference.parts]
        texts, singles = [""], []
        for part in template.parts:
            if isinstance(part, Expression):
                singles.append(Template((part,)))
                texts.append("")
            else:
                texts[-1] += part

        def made(unit: Unit) -> Code:
            values = [unit.template(each, scalar, about) for each, about in zip(singles, known, strict=True)]
            return unit.call(url_path, [unit.shared(tuple(texts)), unit.tuple_of(values)])

        return made, inference.type

    def _report(self, inference: Inference, scalar: Scalar) -> None:
        for each in inference.problems:
            span = scalar.locate(each.start, each.end)
            fix = None
            if each.replacement is not None:
                fix = Fix(each.suggestion or "replace it", (Edit(span, each.replacement),))
            severity = cast("Severity", each.severity)
            message = each.message
            if each.code == UNKNOWN_NAME:
                message = f"nothing that can be read here is called `{scalar.text[each.start : each.end]}`"
            self._findings.add(each.code, message, span, each.suggestion, notes=each.notes, fix=fix, severity=severity)


def secret(given: Type) -> bool:
    """Whether a value of this type shows something secret."""
    return holds_secret(given)


def _in_dict(entries: Sequence[tuple[str, Recipe]]) -> Recipe:
    return lambda unit: unit.dict([(name, each(unit)) for name, each in entries])


def _without_null(computed: frozenset[str], value: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if each is not None or name not in computed}


def _computes(value: model.Value) -> bool:
    if isinstance(value, model.ListValue):
        return any(map(_computes, value.items))
    if isinstance(value, model.ObjectValue):
        return any(_computes(each) for _, each in value.entries)
    return isinstance(value, model.Computed)
