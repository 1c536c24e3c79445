"""What the readers of a test file share: the file, the flow that it tests, and how its steps are found by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from flowlang.diagnostics import Span
from flowlang.document.context import Context
from flowlang.document.findings import Findings, meant, replacing
from flowlang.document.model import Name
from flowlang.document.nodes import Node, Scalar
from flowlang.expressions.types import ANY, Type
from flowlang.plan import Plan
from flowlang.testing import codes
from flowlang.testing.model import Formula
from flowlang.testing.places import Place, Target, read_target
from flowlang.testing.values import Formulas

_SHOWN = 8


class Surroundings:
    """`plan` is the flow's, `places` all of its steps. `literals` are the secrets that the file states, and where."""

    def __init__(self, context: Context, formulas: Formulas, plan: Plan, places: tuple[Place, ...]) -> None:
        self.context = context
        self.formulas = formulas
        self.plan = plan
        self.places = places
        self.literals: list[tuple[Span, str]] = []

    @property
    def findings(self) -> Findings:
        return self.context.findings

    def value(self, node: Node, what: str, type_: Type = ANY, roots: Mapping[str, Type] | None = None) -> Formula:
        """A value of the test file, as a formula of the wanted type."""
        return self.formulas.value(self.context.value(node), what, type_, roots)

    def unknown(self, code: str, message: str, named: Name | Scalar, known: Iterable[str]) -> None:
        """A name that is none of the `known`."""
        words = sorted(known)
        close = self.findings.nearest(named.text, words)
        listed = ", ".join(f"`{each}`" for each in words[:_SHOWN])
        more = f" ({len(words)} in all)" if len(words) > _SHOWN else ""
        notes = (f"there are {listed}{more}" if words else "there are none",)
        fix = replacing(named.span, close) if close else None
        self.findings.add(code, message, named.span, meant(close) if close else None, notes=notes, fix=fix)

    # ------------------------------------------------------------ steps and tasks

    def target(self, text: str, span: Span, *, calls: bool, tasks: bool = True) -> tuple[Target, list[Place]] | None:
        """What `text` names, a step before a task, and the places that it means; None, and a finding, when nothing.
        `calls`: it has to be something that is called."""
        target = read_target(text)
        found: list[Place] = []
        if target is not None:
            anywhere = replace(target, parts=tuple([(name, None) for name, _ in target.parts]))
            found = [each for each in self.places if anywhere.fits(each.path, None)]
        if target is not None and found:
            called = [each for each in found if each.task is not None]
            if calls and not called:
                verb = found[0].site.operation
                message = f"step `{text}` is a `{verb}`: only tasks and subflows are called"
                self.findings.add(codes.NOT_A_CALL, message, span)
                return None
            return target, called if calls else found
        found = [each for each in self.places if each.task == text] if tasks else []
        if found:
            return Target(text, task=True), found
        what = "step or task" if tasks else "step"
        self.unknown(
            codes.UNKNOWN_STEP, f"the flow has no {what} `{text}`", Name(text, span), self._names(calls, tasks)
        )
        return None

    def _names(self, calls: bool, tasks: bool) -> set[str]:
        wanted = [each for each in self.places if each.task is not None or not calls]
        names = {each.site.id or each.site.path for each in wanted}
        return names | {each.task for each in wanted if each.task is not None} if tasks else names

    def outputs(self, places: list[Place]) -> Type:
        """The type of what the calls at `places` give; unknown when they differ or do not say."""
        types = [_given(each) for each in places]
        first = types[0] if types else None
        return first if first is not None and all(each == first for each in types) else ANY


def _given(place: Place) -> Type | None:
    from flowlang.expressions.types import record
    from flowlang.plan import Subflow

    if isinstance(place.step, Subflow):
        return record({each.name: each.type or ANY for each in place.step.plan.outputs}, open=True)
    declared = place.operation.spec.outputs if place.operation is not None else None
    return record(declared) if declared is not None else None
