"""A whole flow: from its text to findings or a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowlang.checking import (  # noqa: F401 - four of them fill the table of `steps`
    calls,
    control,
    literal_secrets,
    starts,
    transactions,
    verbs,
)
from flowlang.checking.catalogue import Catalogue, own_entries
from flowlang.checking.checker import Checked, Checker, ReadText, hide, show
from flowlang.checking.facts import Facts
from flowlang.checking.rules import connections as connection_rules
from flowlang.checking.rules import literal_credential, user_tasks
from flowlang.checking.scope import Scope, Unseen
from flowlang.checking.steps import block, ids, label
from flowlang.checking.values import Compiler, Wanted, evaluator, in_dict
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.config import schema_of
from flowlang.connections.registry import PluginRegistry
from flowlang.diagnostics import has_errors, ordered
from flowlang.document import model
from flowlang.document.parse import parse_flow
from flowlang.document.source import LIMITS, Limits
from flowlang.exceptions import PluginError
from flowlang.expressions.types import ANY, Type, holds_secret, record, union
from flowlang.expressions.unit import Unit
from flowlang.plan import ConnectionPlan, Evaluator, InputPlan, OutputPlan, Plan, Step
from flowlang.services.project import with_services

Path = tuple[str | int, ...]


def check_text(
    text: str | bytes,
    file: str,
    *,
    path: str | None = None,
    registry: PluginRegistry | None = None,
    tasks: Mapping[str, Callable[..., Any]] | None = None,
    read: ReadText | None = None,
    parent: Checker | None = None,
    unit: type[Unit] = Unit,
    tainted: frozenset[str] = frozenset(),
    limits: Limits = LIMITS,
    facts: Facts | None = None,
) -> Checked:
    """Check one flow. `path` is where it lies (for what it reaches), `file` what findings call it; `unit` compiles its
    expressions. `tainted` inputs are given a secret by the flow that calls this one: they are looked at as if they
    declared it. `facts` is filled with what an editor wants to know besides."""
    flow, findings = parse_flow(text, file, limits, facts.pause if facts is not None else None)
    if flow is not None and tainted:
        flow = replace(flow, inputs=tuple(_as_secret(each, tainted) for each in flow.inputs))
    source = (text if isinstance(text, str) else text.decode("utf-8", "replace")).removeprefix("\ufeff")
    sources = parent.sources if parent is not None else literal_secrets.Sources()
    sources.add(file, source)
    if flow is None:
        return Checked(ordered(findings), None, None, sources, text=text, file=file)
    if parent is not None:
        registry, read = parent.registry, parent.read
    assert registry is not None
    assert read is not None
    folder = os.path.dirname(os.path.abspath(path or file))
    project = with_services(registry, folder)
    own = parent.catalogue.own if parent is not None else own_entries(tasks or {})
    checker = Checker(
        flow,
        registry=project,
        catalogue=Catalogue(project, {name: each for name, each in own.items() if each.source is None}),
        read=read,
        sources=sources,
        chain=(*(parent.chain if parent is not None else ()), os.path.realpath(path or file)),
        callees=parent.callees if parent is not None else None,
        folder=folder,
        unit=parent.unit if parent is not None else unit,
    )
    if facts is not None:
        checker.facts, facts.flow = facts, flow
    checker.add(findings)
    checker.unparsed = has_errors(findings)
    plan, output_types = _plan(checker)
    for each in sorted(project.used):
        read(each)  # noted: the flow has to be checked anew when the file of a service changes
    sources.mark(file, [*checker.literals, *literal_secrets.in_inputs(flow)])
    found = ordered(checker.findings)
    usable = None if has_errors(found) or checker.full else plan
    return Checked(found, usable, flow.name.text, sources, output_types, text, file)


def _as_secret(declared: model.Input, tainted: frozenset[str]) -> model.Input:
    if declared.secret or declared.name.text not in tainted:
        return declared
    return replace(declared, secret=True, type=replace(declared.type, secret=True))


def _plan(checker: Checker) -> tuple[Plan, Mapping[str, Type]]:
    """The plan of a flow, of use when there are no errors, and the types of its outputs."""
    flow = checker.flow
    checker.catalogue.own, problems = user_tasks.read(flow, checker.folder, checker.read, checker.catalogue)
    checker.add(problems)
    checker.add(connection_rules.versions(flow, checker.registry))
    for declared in flow.inputs:
        checker.add(literal_credential.default(declared))
    scope = checker.root_scope()
    variables, secret_vars = _vars(checker, scope)
    connections = tuple(_connection(checker, scope, each) for each in flow.connections)
    for where, cleaning in (("on_cancel", flow.on_cancel), ("finally", flow.finally_)):
        for name, _ in ids(cleaning):
            why = f"{label(name)} stands in `{where}`, which runs when the steps are over"
            scope.unseen[name.text] = Unseen("hidden", label(name), why)
    if checker.facts is not None:
        checker.facts.own_tasks.update({name: each.spec for name, each in checker.catalogue.own.items()})
        checker.facts.section("steps", scope)
    admission = starts.concurrency(checker, scope)
    starts.triggers(checker)
    steps, _ = block(checker, scope, flow.steps)
    outputs, output_types = _outputs(checker, scope)
    on_cancel = _cleaning_up(checker, scope, "on_cancel", flow.on_cancel)
    finally_ = _cleaning_up(checker, scope, "finally", flow.finally_)
    plan = Plan(
        flow=flow.name.text,
        file=flow.file,
        folder=checker.folder,
        inputs=tuple(map(input_plan, flow.inputs)),
        vars=variables,
        secret_vars=secret_vars,
        connections=connections,
        operations=tuple(checker.operations),
        steps=steps,
        outputs=outputs,
        on_cancel=on_cancel,
        finally_=finally_,
        size=scope.layout.size,
        timeout=flow.timeout,
        opening_retry=flow.defaults.retry,
        env_names=checker.env_names,
        secret_names=checker.secret_names,
        inputs_at=flow.inputs_at,
        version=flow.version,
        description=flow.description,
        concurrency=admission,
        schedules=tuple(starts.schedules(checker)),
        given_secrets=frozenset(checker.given_secrets),
    )
    return plan, output_types


def _cleaning_up(checker: Checker, scope: Scope, word: str, steps: Sequence[model.Step]) -> tuple[Step, ...]:
    """The plan of `on_cancel` or `finally`; what they see of any other step may have been cut short."""
    if not steps and checker.facts is None:
        return ()
    unsure = scope.inner()
    unsure.cleaning = word
    unsure.present = frozenset(each for each in scope.present if each.partition("\n")[0] in ("inputs", "vars"))
    for name, entry in scope.entries.items():
        if entry.kind == "step":
            unsure.add(name, entry.maybe("the run may have ended before it"))
    if checker.facts is not None:
        checker.facts.section(word, unsure)
    return block(checker, unsure, steps)[0]


# ---------------------------------------------------------------- vars, inputs, outputs


def _vars(checker: Checker, scope: Scope) -> tuple[tuple[tuple[str, Evaluator], ...], frozenset[str]]:
    """`vars` read inputs and env; afterwards they are there for all that follows."""
    inner = scope.inner()
    show(inner, "env")
    for root in ("vars", "secrets", "run"):
        hide(inner, root, f"`{root}` is not readable in `vars`: they are computed from `inputs` and `env`")
    if checker.facts is not None:
        checker.facts.section("vars", inner)
    planned, types, secret = [], {}, set()
    for name, value in checker.flow.vars:
        code, given = evaluator(checker, inner, value, Wanted(name.text, keeps=True), f"vars.{name.text}")
        planned.append((name.text, code))
        types[name.text] = given
        if holds_secret(given):
            secret.add(name.text)
    entry = scope.entry("vars")
    assert entry is not None
    scope.add("vars", replace(entry, type=record(types)))
    return tuple(planned), frozenset(secret)


def input_plan(each: model.Input) -> InputPlan:
    """An input as values are checked against it; its bounds as a JSON Schema."""
    bounds = {
        "pattern": each.pattern,
        "minimum": each.minimum,
        "maximum": each.maximum,
        "minLength" if each.type_name == "string" else "minItems": each.min_length,
        "maxLength" if each.type_name == "string" else "maxItems": each.max_length,
        "items": _schema(each.items),
        "properties": {name: _schema(part) for name, part in each.properties.items()} if each.properties else None,
        "required": _required(each.properties),
    }
    schema = {key: value for key, value in bounds.items() if value is not None}
    if each.enum is not None:
        schema["enum"] = list(each.enum)
    return InputPlan(
        name=each.name.text,
        type=each.type,
        type_name=each.type_name,
        required=each.required,
        has_default=each.has_default,
        default=each.default,
        secret=each.secret,
        schema=schema,
        span=each.name.span,
    )


_JSON_TYPES = {"timestamp": "string", "duration": "string"}


def _schema(part: object) -> Any:
    """The JSON Schema of an input's `items` or of one of its `properties`."""
    if isinstance(part, str):
        part = {"type": part}
    if not isinstance(part, Mapping):
        return None
    schema: dict[str, Any] = {}
    for key, value in part.items():
        if key == "type":
            if value != "any":
                schema["type"] = _JSON_TYPES.get(str(value), value)
        elif key == "properties" and isinstance(value, Mapping):
            schema["properties"] = {name: _schema(each) for name, each in value.items()}
            schema["required"] = _required(value) or []
        elif key == "items":
            schema["items"] = _schema(value)
        elif key in ("min_length", "max_length"):
            kind = "Items" if part.get("type") == "array" else "Length"
            schema[("min" if key == "min_length" else "max") + kind] = value
        elif key in ("pattern", "minimum", "maximum", "enum"):
            schema[key] = value
    return schema


def _required(properties: object) -> list[str] | None:
    if not isinstance(properties, Mapping):
        return None
    return [name for name, part in properties.items() if isinstance(part, Mapping) and part.get("required")] or None


def _outputs(checker: Checker, scope: Scope) -> tuple[tuple[OutputPlan, ...], Mapping[str, Type]]:
    """The flow's outputs and their types, as a flow that calls this one sees them."""
    ended = scope.inner()
    stored = "a flow output is stored and shown"
    hide(ended, "secrets", f"`secrets` is not readable in `outputs`: {stored}")
    hide(ended, "env", f"`env` is readable only in `connections` and `vars`; {stored}", "pass it through a connection")
    if checker.facts is not None:
        checker.facts.section("outputs", ended)
    planned, types = [], {}
    for output in checker.flow.outputs:
        name, start = output.name.text, output.value.span.start
        wanted = Wanted(name, output.type or ANY, keeps=True, optional=True)
        code, given = evaluator(checker, ended, output.value, wanted, f"outputs.{name}")
        secret = holds_secret(given)
        planned.append(OutputPlan(name, code, output.type, secret, start.line, start.column))
        exits = checker.exit_types.get(name, ())
        known = union(given, *exits)
        if output.type is not None and known.kind not in ("object", "array"):
            known = output.type.or_null() if known.nullable or known.kind == "null" else output.type
        types[name] = replace(known, secret=True) if secret or any(map(holds_secret, exits)) else known
    return tuple(planned), types


# ---------------------------------------------------------------- connections


def _connection(checker: Checker, scope: Scope, connection: model.Connection) -> ConnectionPlan:
    wanted = next((each.text for name, each in checker.flow.plugins if name.text == connection.type.text), "")
    plugin, problems = connection_rules.plugin_of(connection, checker.catalogue, wanted)
    checker.add(problems)
    inner = scope.inner()
    show(inner, "env")
    hide(inner, "run", "`run` is not readable in `connections`")
    why = "`inputs` is not readable in `connections`: a caller must not choose where a connection leads"
    hide(inner, "inputs", why, "take it from `env`, or choose what is safe in `vars`")
    if checker.facts is not None:
        checker.facts.section("connections", inner)
    config = connection.config
    if plugin is not None:
        config = _with_host_keys(connection, plugin)
        checker.add(connection_rules.driver(connection, plugin))
    compiler = Compiler(checker, inner)
    parts = []
    for name, value in config.entries:
        parts.append((name.text, compiler.value(value, Wanted(name.text))[0]))
    function = compiler.function(in_dict(parts), f"connections.{connection.name.text}")
    places = connection_rules.Places()
    textual: dict[Path, str] = {}
    values: dict[str, object] = {}
    for name, value in config.entries:
        places.keys[(name.text,)] = name.span
        values[name.text] = _known(value, (name.text,), places, textual)
    ready = None
    if plugin is not None:
        ready, refused = connection_rules.config(connection, plugin, values, set(textual), places)
        checker.add(refused)
        if not refused:
            schema = schema_of(plugin)
            checker.add(literal_credential.in_config(connection, schema, values, places.values, textual))
    checker.literals += literal_secrets.in_config(plugin, values, places.values, textual)
    start = connection.name.span.start
    return ConnectionPlan(
        name=connection.name.text,
        type=connection.type.text,
        plugin=plugin,
        config=function,
        ready=ready,
        textual=textual,
        lazy=connection.lazy,
        connect_timeout=connection.connect_timeout,
        acquire_timeout=connection.acquire_timeout,
        file=checker.flow.file,
        line=start.line,
        column=start.column,
        spans=places.values,
    )


def _with_host_keys(connection: model.Connection, plugin: ConnectionPlugin) -> model.ObjectValue:
    """The config, with those of the host's own keys that the plugin declares too."""
    try:
        declared = schema_of(plugin).get("properties", {})
    except PluginError:
        return connection.config
    mine = tuple(each for each in connection.host_entries if each[0].text in declared)
    return replace(connection.config, entries=(*connection.config.entries, *mine))


def _known(value: model.Value, path: Path, places: connection_rules.Places, textual: dict[Path, str]) -> object:
    """The value as far as the text says it; what is computed is noted in `textual` with what it comes from."""
    places.values[path] = value.span
    if isinstance(value, model.Constant):
        return value.value
    if isinstance(value, model.ListValue):
        return [_known(each, (*path, index), places, textual) for index, each in enumerate(value.items)]
    if isinstance(value, model.ObjectValue):
        found = {}
        for name, each in value.entries:
            places.keys[(*path, name.text)] = name.span
            found[name.text] = _known(each, (*path, name.text), places, textual)
        return found
    textual[path] = next((each.source.strip() for each in value.template.expressions), "")
    return ""
