"""Where the services in YAML are described that a flow names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowlang.diagnostics import Position, Span
from flowlang.document import model
from flowlang.editing import Analysis


def described_at(analysis: Analysis, place: Position) -> Span | None:
    """Where that is described which stands at `place`: the beginning of the service's file for the type of a
    connection, the name of the operation for a task. None for anything else."""
    flow = analysis.facts.flow
    if flow is None or not analysis.services:
        return None
    for connection in flow.connections:
        if _holds(connection.type.span, place):
            service = _service(analysis, connection.type.text)
            return Span(Position(1, 1), Position(1, 1), service.file) if service is not None else None
    step = next((each for each in _task_steps(flow) if _holds(each.task.span, place)), None)
    if step is None:
        return None
    types = {each.name.text: each.type.text for each in flow.connections}
    asked = [types.get(step.connection.text, "")] if step.connection is not None else types.values()
    services = (_service(analysis, each) for each in asked)
    found = (each for service in services if service is not None for each in service.operations)
    return next((each.span for each in found if each.task == step.task.text), None)


def _service(analysis: Analysis, type_: str) -> Any:
    """What a service file says (`services.model.Service`); None for a type of another kind, or a broken file."""
    record = analysis.services.get(type_)
    return getattr(record.plugin, "service", None) if record is not None else None


def _task_steps(flow: model.Flow) -> Iterator[model.TaskStep]:
    waiting = [*flow.steps, *flow.on_cancel, *flow.finally_]
    while waiting:
        step = waiting.pop()
        waiting += [each for _, inner in model.blocks(step) for each in inner]
        if isinstance(step, model.TaskStep):
            yield step


def _holds(span: Span, place: Position) -> bool:
    return span.start <= place <= span.end
