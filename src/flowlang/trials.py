"""A connection of a flow, or one that is described on the command line, tested stage by stage.

Its settings are computed as a run computes them, but for this connection alone: variables and secrets that others need
may be missing. The stages themselves are in `flowlang.connections.stages`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowlang.connections import _schema as reading
from flowlang.connections._blame import setting_in
from flowlang.connections._probes import Trouble
from flowlang.connections.config import Prepared, prepare, schema_of
from flowlang.connections.stages import Tester, Trial
from flowlang.diagnostics import Diagnostic, Span, nearest
from flowlang.exceptions import InvalidFlowError
from flowlang.plan import ROOTS, ConnectionPlan, Frame, Plan
from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.api import Checked
    from flowlang.connections.base import ConnectionPlugin
    from flowlang.document import model


class NoSuchConnection(LookupError):
    """The flow has no connection of that name; the text says which it has."""


@frozen
class Tested:
    """`place` is where the flow says the setting to look at; None when nothing failed, or there is no file."""

    trial: Trial
    place: Span | None


async def try_connection(
    checked: Checked,
    name: str,
    *,
    inputs: Mapping[str, Any],
    secrets: Mapping[str, str],
    env: Mapping[str, str],
    limit: float | None,
) -> Tested:
    """Test the connection `name` of a flow. `limit`: seconds for all of it, in place of its `connect_timeout`.

    Raises `NoSuchConnection`; `PluginError` when its type cannot be used; `InvalidFlowError` when something else in the
    flow is wrong, so that its settings cannot be computed.
    """
    from flowlang.secretstore import resolve
    from flowlang.services.project import beside

    connection = _connection(checked, name)
    plugin = beside(checked.file).get(connection.type.text)
    own = _own_errors(checked, connection)
    plan = checked.plan
    known, _ = resolve(plan.secret_names if plan is not None else (), secrets, env)

    def settled() -> tuple[Mapping[str, Any], Prepared]:
        if plan is None:
            raise _as_trouble(own[0], plugin)
        place = next(each for each in plan.connections if each.name == name)
        config = _computed(plan, place, {"inputs": inputs, "env": env, "secrets": known})
        return config, place.ready or prepare(plugin, config, sources=place.textual)

    tester = Tester(name, plugin, connection.connect_timeout if limit is None else limit)
    trial = await tester.test(settled, known.values())
    return Tested(trial, _place(trial, checked, connection, own))


def described(kind: str, name: str, settings: Mapping[str, str]) -> str:
    """A flow with one connection `name` of a type, whose settings are texts as they are given on a command line.

    `auth.type=basic` sets a key inside of another. Raises `PluginError` when there is no such type.
    """
    from flowlang.services.project import here

    schema = schema_of(here().get(kind))
    config: dict[str, Any] = {"type": kind}
    for key, text in settings.items():
        path = (key,) if key in reading.properties(schema, schema) else tuple(key.split("."))
        inside = config
        for part in path[:-1]:
            deeper = inside.setdefault(part, {})
            inside = deeper if isinstance(deeper, dict) else {}
        inside[path[-1]] = _typed(text, reading.kinds(reading.at(schema, path), schema))
    return json.dumps({"flow": "connection-test", "connections": {name: config}, "steps": []})


def _typed(text: str, allowed: frozenset[str]) -> Any:
    """A text of the command line as what the schema allows: JSON that fits, else the text itself."""
    names = {bool: "boolean", int: "integer", float: "number", dict: "object", list: "array", type(None): "null"}
    try:
        value = json.loads(text)
    except ValueError:
        return text
    fits = allowed & {names.get(type(value), "string"), "number" if type(value) is int else ""}
    return value if fits and not isinstance(value, str) else text


# ---------------------------------------------------------------- the flow


def _connection(checked: Checked, name: str) -> model.Connection:
    flow = checked.flow
    connections = {each.name.text: each for each in flow.connections} if flow is not None else {}
    if flow is None:
        raise InvalidFlowError("the flow cannot be read", checked.findings)
    if name not in connections:
        close = nearest(name, connections)
        listed = ", ".join(f"`{each}`" for each in connections) or "none"
        raise NoSuchConnection(f"did you mean `{close}`?" if close else f"it has {listed}")
    return connections[name]


def _own_errors(checked: Checked, connection: model.Connection) -> list[Diagnostic]:
    """The errors of the check that are about this connection. Others stand in the way of any plan, and are raised."""
    if checked.plan is not None:
        return []
    errors = [each for each in checked.findings if each.severity == "error"]
    start, end = connection.name.span.start, connection.span.end
    own = [each for each in errors if start <= each.span.start <= end and each.code.startswith("config-")]
    if len(own) < len(errors) or not own:
        raise InvalidFlowError("the flow has other errors", checked.findings)
    return own


def _as_trouble(found: Diagnostic, plugin: ConnectionPlugin) -> Trouble:
    message = found.message.partition(": ")[2] or found.message
    field = setting_in(message, plugin.get_config_schema())
    return Trouble(message, field, found.suggestion or "correct the setting", "config")


def _place(trial: Trial, checked: Checked, connection: model.Connection, own: list[Diagnostic]) -> Span | None:
    failed = trial.failed
    if failed is None:
        return None
    if own:
        return own[0].span
    spans = (
        next(each.spans for each in checked.plan.connections if each.name == trial.connection) if checked.plan else {}
    )
    path: tuple[str | int, ...] = tuple((failed.field or "").split("."))
    while path and path not in spans:
        path = path[:-1]
    return spans[path] if path else connection.name.span


# ---------------------------------------------------------------- its settings


class _Reads:
    """What an expression may read of the world."""

    def read(self, kind: str, position: int) -> Any:
        from flowlang.engine.clock import Clock

        clock = Clock()
        return clock.now() if kind == "now" else clock.uuid() if kind == "uuid" else clock.random()


def _computed(plan: Plan, connection: ConnectionPlan, roots: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The connection's settings. Raises `Trouble` with what cannot be computed of them."""
    from flowlang.engine.inputs import accept
    from flowlang.expressions.runtime import UNSET

    inputs, findings = accept(plan, roots["inputs"], [])
    if findings:
        raise InvalidFlowError(findings[0].message, findings)
    frame: Frame = [None] + [UNSET] * (plan.size - 1)
    frame[ROOTS.inputs], frame[ROOTS.env], frame[ROOTS.secrets] = inputs, roots["env"], roots["secrets"]
    values: dict[str, Any] = {}
    frame[ROOTS.vars] = values
    for name, evaluator in plan.vars:
        try:
            values[name] = evaluator(frame, _Reads())
        except Exception:  # noqa: BLE001 - it may be another connection's; who needs it finds it missing
            continue
    try:
        config: Mapping[str, Any] = connection.config(frame, _Reads())
    except Exception as error:
        raise _not_computed(error, connection, frame) from error
    return config


def _not_computed(error: Exception, connection: ConnectionPlan, frame: Frame) -> Trouble:
    from flowlang.expressions import explain

    fault = explain(connection.config, error, frame)
    if fault.where is None:
        return Trouble(fault.message, "", "correct the expression", "expression")
    start = fault.where.locate(fault.start, fault.end).start
    inside = [path for path, span in connection.spans.items() if path and span.start <= start <= span.end]
    innermost = max(inside, key=len, default=())
    field = ".".join(map(str, innermost))
    remedy = "set the variable or secret that it names, or give a default: `${default(env.NAME, 'value')}`"
    return Trouble(fault.message, field, remedy, "expression")
