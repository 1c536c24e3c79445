"""A small world to evaluate expressions in: names with types, a frame with values, and what is read from outside."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from flowlang.expressions import (
    Binding,
    Problem,
    Unit,
    infer_condition,
    infer_template,
    parse_condition,
    parse_template,
)
from flowlang.expressions.types import ANY, Type


class World:
    """Roots with their values. A root given only a value has the type `any`."""

    def __init__(self, bindings: dict[str, Binding] | None = None, /, **values: Any) -> None:
        self.bindings = dict(bindings or {})
        self.frame: list[Any] = [None]
        for name, value in values.items():
            known = self.bindings.get(name)
            slot = len(self.frame)
            self.frame.append(value)
            self.bindings[name] = _placed(known, slot) if known else Binding(ANY, f"`{name}`", slot=slot)

    def lookup(self, name: str) -> Binding | None:
        return self.bindings.get(name)

    def known(self) -> Iterable[tuple[str, str]]:
        return [(name, each.label) for name, each in self.bindings.items()]


def _placed(known: Binding, slot: int) -> Binding:
    return Binding(known.type, known.label, known.state, known.why, known.remedy, 0, slot)


def root(kind: Type, label: str = "`it`", **more: Any) -> Binding:
    return Binding(kind, label, **more)


class Scalar:
    """Where an expression stands: offsets are given back as they are."""

    def locate(self, start: int, end: int) -> tuple[int, int]:
        return start, end


class Outside:
    """A fiber that counts what is read."""

    def __init__(self) -> None:
        self.reads: list[tuple[str, str]] = []

    def read(self, kind: str, position: str) -> Any:
        self.reads.append((kind, position))
        moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
        return {"now": moment, "uuid": f"{len(self.reads):036d}", "random": 0.25}[kind]


class Refused(Exception):
    """The check found errors."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = [each for each in problems if each.severity == "error"]
        super().__init__("; ".join(each.message for each in self.problems))


def problems_of(text: str, world: World | None = None, *, condition: bool = False) -> list[Problem]:
    """Everything found in `text` before it would run."""
    here = world or World()
    if condition:
        expression, problems = parse_condition(text)
        return problems if expression is None else [*problems, *infer_condition(expression, here).problems]
    template, problems = parse_template(text)
    return [*problems, *infer_template(template, here).problems]


def compiled(text: str, world: World, *, condition: bool = False) -> Any:
    """The evaluator of `text`; raises `Refused` when the check finds errors. What is only found because it fails with
    the values written in it is compiled all the same, so that it can be seen to fail."""
    found = [each for each in problems_of(text, world, condition=condition) if each.severity == "error"]
    found = [each for each in found if each.code not in ("always-fails", "bad-pattern")]
    if found:
        raise Refused(found)
    unit = Unit()
    if condition:
        expression, _ = parse_condition(text)
        assert expression is not None
        return unit.function(unit.condition(expression, Scalar(), infer_condition(expression, world)), "condition")
    template, _ = parse_template(text)
    return unit.function(unit.template(template, Scalar(), infer_template(template, world)), "template")


def evaluate(text: str, world: World | None = None, /, *, condition: bool = False, **values: Any) -> Any:
    here = world or World(**values)
    return compiled(text, here, condition=condition)(here.frame, Outside())
