"""JSON Schema of the kinds of values that stand at the keys of a flow: durations, conditions, steps, types of tasks.

Where an expression may stand, `${…}` is let through by `if` and only other values are looked at, so that an editor
tells what is wrong with them instead of that no alternative fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.exceptions import ERROR_CLASSES
from flowlang.expressions.types import Type
from flowlang.views.keys import Key

Schema = dict[str, Any]

EXPRESSION: Schema = {"type": "string", "pattern": r"\$\{"}
"""A text with at least one expression. Whether it computes what its place wants, the check finds out."""

_NOT_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "markdownDescription"})
_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d)?|P([0-9.]+W)?([0-9.]+D)?(T([0-9.]+H)?([0-9.]+M)?([0-9.]+S)?)?)$"
_NAME = r"^[^\s0-9!-/:-@\[-`{-~][^\s!-/:-@\[-^`{-~]*$"  # letters of any alphabet, digits, `_`; and in JavaScript, too


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def computed(schema: Mapping[str, Any]) -> Schema:
    """`schema`, where an expression may stand in place of a value."""
    outer = {key: each for key, each in schema.items() if key in _NOT_ANNOTATIONS}
    inner = {key: each for key, each in schema.items() if key not in _NOT_ANNOTATIONS}
    if not inner or inner == {"type": "string"}:
        return dict(schema)
    if "enum" in inner or inner == {"type": "boolean"}:  # few words: editors offer those of alternatives
        return {**outer, "anyOf": [inner, ref("expression")]}
    return {**outer, "if": ref("expression"), "else": inner}


def closed(keys: Sequence[Key], more: Mapping[str, Any] | None = None) -> Schema:
    """An object of these keys and no other."""
    required = [each.name for each in keys if each.required]
    properties = {each.name: of_key(each) for each in keys} | dict(more or {})
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def of_key(key: Key, doc: str = "") -> Schema:
    """What stands at `key`, with what it means."""
    schema = {"enum": list(key.kind)} if isinstance(key.kind, tuple) else ref(key.kind)
    return {**told(key.doc or doc), **schema}


def told(text: str, markdown: str | None = None) -> Schema:
    """What something means. Editors show a `description` as it is, so that one with code needs to be markdown."""
    if not text:
        return {}
    plain = {"description": text}
    return {**plain, "markdownDescription": markdown or text} if markdown or "`" in text else plain


def definitions() -> dict[str, Schema]:
    """The kinds that need no more than themselves, by name."""
    text: Schema = {"type": "string", "minLength": 1}
    classes: Schema = {
        "enum": list(ERROR_CLASSES),
        "markdownEnumDescriptions": [f"{each.title}: {each.meaning}." for each in ERROR_CLASSES.values()],
    }
    return {
        "expression": EXPRESSION,
        "any": {},
        "value": {"type": ["string", "number", "boolean", "object", "array", "null"]},
        "message": {"type": ["string", "number", "boolean"]},
        "values": {"type": "object"},
        "list": {"type": "array"},
        "text": text,
        "texts": {"type": "array", "items": text, "uniqueItems": True},
        "name": {"type": "string", "pattern": _NAME, "patternErrorMessage": "A name is made of letters, digits and _"},
        "connection": text,
        "version": {"type": ["string", "number"]},
        "versions": {"type": "object", "additionalProperties": ref("version")},
        "boolean": {"type": "boolean"},
        "number": {"type": "number"},
        "count": {"type": "integer", "minimum": 0},
        "positive": {"type": "integer", "minimum": 1},
        "factor": {"type": "number", "minimum": 1},
        "duration": {
            "type": ["string", "number"],
            "pattern": _DURATION,
            "patternErrorMessage": "A duration is 250ms, 5s, 2m, 1h, 1d, ISO 8601 (PT5S), or a number of seconds",
            "minimum": 0,
        },
        "condition": {
            "type": ["string", "boolean", "object"],
            "minLength": 1,
            "properties": {
                "any": {"description": "Whether at least one holds.", **ref("conditions")},
                "all": {"description": "Whether each holds.", **ref("conditions")},
                "none": {"description": "Whether not a single one holds.", **ref("conditions")},
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
        "conditions": {"type": "array", "minItems": 1, "items": ref("condition")},
        "class": classes,
        "classes": {"type": "array", "items": ref("class")},
        "steps": {"type": "array", "items": ref("step")},
    }


# ---------------------------------------------------------------- types of tasks

_KINDS: dict[str, Schema] = {
    "null": {"type": "null"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "decimal": {"type": ["number", "string"]},
    "bytes": EXPRESSION,
    "array": {"type": "array"},
    "stream": {"type": "array"},
    "object": {"type": "object"},
    **{
        kind: {"type": "string"}
        for kind in ("string", "timestamp", "date", "time", "duration", "uuid", "identifier", "sql")
    },
}


def of_type(wanted: Type) -> Schema:
    """What a flow may write where `wanted` is expected, expressions included."""
    schema = dict(_KINDS.get(wanted.kind, {}))
    if wanted.items is not None and wanted.kind in ("array", "stream"):
        schema["items"] = of_type(wanted.items)
    if wanted.fields and wanted.kind == "object":
        schema["properties"] = {name: of_type(each) for name, each in wanted.fields.items()}
        if not wanted.open:
            schema["additionalProperties"] = False
        if wanted.required:
            schema["required"] = sorted(wanted.required)
    if wanted.enum is not None:
        schema["enum"] = [*wanted.enum, None] if wanted.nullable else list(wanted.enum)
    if wanted.nullable and "type" in schema:
        kinds = schema["type"]
        schema["type"] = [*([kinds] if isinstance(kinds, str) else kinds), "null"]
    return computed(schema)
