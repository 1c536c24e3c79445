"""The names of a flow that its tests may use, for editors."""

from __future__ import annotations

from flowlang.checking.checker import Checked
from flowlang.expressions.types import ANY, Type
from flowlang.plan import Subflow
from flowlang.testing.places import Place, places
from flowlang.views.schema.tests import Answers, Tested


def tested(checked: Checked) -> Tested | None:
    """The names of a flow without errors; None for any other."""
    flow, plan = checked.flow, checked.plan
    if flow is None or plan is None:
        return None
    found = list(places(plan))
    called = [each for each in found if each.task is not None]
    return Tested(
        inputs=flow.inputs,
        outputs=tuple(each.name for each in plan.outputs),
        connections=tuple(each.name for each in plan.connections),
        steps={_name(each): _about(each) for each in found},
        calls={_name(each): Answers(_about(each), _outputs(each)) for each in called},
        tasks={str(each.task): Answers(_about_task(each), _outputs(each)) for each in called},
    )


def _name(place: Place) -> str:
    """What a test calls a step: its id, or else its path."""
    return place.site.id or place.path


def _about(place: Place) -> str:
    return f"A step of the flow: `{place.site.operation}`, in line {place.site.line}."


def _about_task(place: Place) -> str:
    summary = place.operation.spec.summary if place.operation is not None else ""
    return f"Every call of `{place.task}`.{f' {summary}' if summary else ''}"


def _outputs(place: Place) -> dict[str, Type]:
    if isinstance(place.step, Subflow):
        return {each.name: each.type or ANY for each in place.step.plan.outputs}
    return dict(place.operation.spec.outputs or {}) if place.operation is not None else {}
