"""A connection type's own JSON Schema as a part of the schema of a flow: expressions let in, references moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowlang.views.keys import HOST
from flowlang.views.schema.kinds import Schema, computed, of_key

_MAPS = ("properties", "patternProperties", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_TESTS = ("if", "not", "contains")  # what only asks is left as it is
_COMPOSED = frozenset({*_LISTS[:3], "$ref", "if", "dependentSchemas", "not"})
_DEEPEST = 32


def of_config(schema: Mapping[str, Any], place: str, *, closed: bool) -> Schema:
    """The config of a connection whose plugin says `schema`; it will stand at `#/$defs/PLACE`.

    `closed`: whether keys that the plugin does not know are refused.
    """
    composed = closed and not _COMPOSED.isdisjoint(schema)
    own = _embedded(schema, f"{place}/allOf/0" if composed else place)
    own.pop("type", None)
    host: Schema = {"type": True} | {each.name: of_key(each) for each in HOST}
    if not closed:
        return {**own, "properties": {**host, **own.get("properties", {})}}
    if not composed:
        for key in ("additionalProperties", "unevaluatedProperties"):
            own.pop(key, None)
        return {**own, "properties": {**host, **own.get("properties", {})}, "additionalProperties": False}
    return {"properties": host, "allOf": [_opened(own)], "unevaluatedProperties": False}


def _embedded(schema: Mapping[str, Any], place: str, depth: int = 0) -> Schema:
    """`schema` with its references moved to `place` and expressions let in for the value of each key and item."""
    if depth > _DEEPEST:
        return {}
    made: Schema = {}
    for key, value in schema.items():
        if key in ("$schema", "$id"):
            continue
        if key == "$ref":
            made[key] = _moved(value, place)
        elif key in _TESTS:
            made[key] = _references_moved(value, place)
        elif key == "$defs":
            made[key] = {name: _inner(each, place, depth) for name, each in value.items()}
        elif key in _MAPS:
            made[key] = {name: _value(each, place, depth) for name, each in value.items()}
        elif key in _LISTS:
            made[key] = [_inner(each, place, depth) for each in value]
        elif key in ("items", "additionalProperties", "unevaluatedProperties"):
            made[key] = _value(value, place, depth)
        elif key in ("then", "else"):
            made[key] = _inner(value, place, depth)
        else:
            made[key] = value
    return made


def _inner(schema: Any, place: str, depth: int) -> Any:
    return _embedded(schema, place, depth + 1) if isinstance(schema, Mapping) else schema


def _value(schema: Any, place: str, depth: int) -> Any:
    return computed(_embedded(schema, place, depth + 1)) if isinstance(schema, Mapping) else schema


def _references_moved(schema: Any, place: str) -> Any:
    if isinstance(schema, Mapping):
        return {
            key: _moved(each, place) if key == "$ref" else _references_moved(each, place)
            for key, each in schema.items()
        }
    return [_references_moved(each, place) for each in schema] if isinstance(schema, list) else schema


def _moved(reference: Any, place: str) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return reference
    return f"#/$defs/{place}{reference[1:].rstrip('/')}"


def _opened(schema: Schema) -> Schema:
    """`schema` without what it says of further keys at its own level: the object around it says so for all."""
    made = {key: each for key, each in schema.items() if key not in ("additionalProperties", "unevaluatedProperties")}
    for key in _LISTS[:3]:
        if key in made:
            made[key] = [_opened(each) if isinstance(each, dict) else each for each in made[key]]
    return made
