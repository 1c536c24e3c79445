"""JSON Schema (2020-12) of a flow file, with the config and the tasks of every installed plugin: for editors.

It knows the shape of a flow: keys, kinds, words, parameters. What needs the flow as a whole (names, types of
expressions) is the check's. Beside the standard it uses what the language servers for YAML know:
`markdownDescription`, `markdownEnumDescriptions`, `errorMessage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.records import frozen
from flowlang.tasks.spec import TaskSpec
from flowlang.views import keys
from flowlang.views.schema import steps
from flowlang.views.schema.config import of_config
from flowlang.views.schema.kinds import Schema, closed, definitions, of_key, ref
from flowlang.views.schema.tasks import unique


@frozen
class ConnectionType:
    """A connection type as editors are told of it. `closed`: its config has the keys of `schema` and no other.

    `schema` is None when the plugin cannot be used: then anything may stand in its config."""

    name: str
    description: str
    schema: Mapping[str, Any] | None
    closed: bool
    tasks: tuple[TaskSpec, ...] = ()


def flow_schema(types: Sequence[ConnectionType], tasks: Sequence[TaskSpec]) -> Schema:
    """The schema of a flow file where `types` are installed. `tasks` need no connection."""
    known = unique([*tasks, *(each for kind in types for each in kind.tasks)])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "A workflow: connections, inputs, steps, outputs.",
        **closed(keys.FLOW),
        "$defs": {
            **definitions(),
            **_top_level(),
            **_connections(types),
            **steps.definitions(known),
        },
    }


def _top_level() -> dict[str, Schema]:
    rules = closed(keys.INPUT)
    name = of_key(keys.Key("name", "name", "Name of the input.", True))
    declared: Schema = {**rules, "properties": {"name": name, **rules["properties"]}, "required": ["name"]}
    return {
        "rules": rules,
        "properties": {"type": "object", "additionalProperties": ref("rules")},
        "inputs": {"type": "array", "items": declared},
        "outputs": {"type": "array", "items": closed(keys.OUTPUT)},
        "defaults": closed(keys.DEFAULTS),
        "concurrency": closed(keys.CONCURRENCY),
        "triggers": {"type": "array", "items": _trigger()},
    }


def _trigger() -> Schema:
    """One key that says the kind of trigger. A plugin may bring further kinds."""
    known = {kind: {"description": doc, **closed(own)} for kind, (doc, own) in keys.TRIGGERS.items()}
    return {
        "type": "object",
        "properties": known,
        "additionalProperties": {"type": "object"},
        "minProperties": 1,
        "maxProperties": 1,
    }


def _connections(types: Sequence[ConnectionType]) -> dict[str, Schema]:
    known: Schema = {
        "enum": [each.name for each in types],
        "markdownEnumDescriptions": [each.description for each in types],
    }
    kind: Schema = {
        "description": "Type of the connection: a plugin's name, or the path of a `*.service.yaml`.",
        "anyOf": [known, {"type": "string", "pattern": r"\.service\.yaml$"}],
    }
    one: Schema = {
        "type": "object",
        "description": "A connection: its `type`, and the settings of that type.",
        "properties": {"type": kind} | {each.name: of_key(each) for each in keys.HOST},
        "required": ["type"],
    }
    chosen = [
        {
            "if": {"required": ["type"], "properties": {"type": {"const": each.name}}},
            "then": ref(f"connection.{each.name}"),
        }
        for each in types
        if each.schema is not None
    ]
    if chosen:
        one["allOf"] = chosen
    found: dict[str, Schema] = {"connections": {"type": "object", "additionalProperties": ref("a_connection")}}
    found["a_connection"] = one
    for each in types:
        if each.schema is not None:
            place = f"connection.{each.name}"
            found[place] = of_config(each.schema, place, closed=each.closed)
    return found


__all__ = ["ConnectionType", "flow_schema"]
