"""Declarations of a service file, as a connection's schema and a task's hints say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypedDict

from flowlang.connections._schema import is_secret
from flowlang.document.model import Input
from flowlang.expressions.types import Type
from flowlang.tasks.values import SecretMark

# What a connection of any service may be told: settings of the type `http` that say how, not what, it asks.
TRANSPORT = ("timeout", "max_connections", "retry_after_max", "max_body", "allow_private", "verify", "proxy")
_PLAIN: Mapping[str, Any] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "null": None, "bytes": bytes
}  # fmt: skip


def schema_of(settings: tuple[Input, ...], address: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a connection: the declared settings, those of the transport, and where the service is."""
    from flowlang.connections.http.settings import SCHEMA

    known = SCHEMA["properties"]
    return {
        "type": "object",
        "required": [each.name.text for each in settings if each.required],
        "additionalProperties": False,
        "properties": {
            **{each.name.text: property_of(each) for each in settings},
            "base_url": dict(address),
            **{name: known[name] for name in TRANSPORT},
        },
    }


def property_of(declared: Input) -> dict[str, Any]:
    """The schema of one setting, or of a parameter."""
    found: dict[str, Any] = part_of(_declaration(declared))
    if declared.description:
        found["description"] = declared.description
    if declared.has_default:
        found["default"] = declared.default
    elif not declared.required and "type" in found:
        found["type"] = [found["type"], "null"]
        found["default"] = None
    if hidden(declared):
        found["writeOnly"] = True
    return found


def hidden(declared: Input) -> bool:
    """Whether a setting or parameter is secret, because it says so or is called so."""
    return declared.secret or is_secret(declared.name.text, {"type": declared.type_name})


def type_of(declared: Input) -> Type:
    """The type that expressions see."""
    return replace(declared.type, secret=True) if hidden(declared) else declared.type


def _declaration(declared: Input) -> dict[str, Any]:
    """What an input declares, in the words of a service file."""
    words = ("enum", "pattern", "minimum", "maximum", "min_length", "max_length", "items", "properties")
    found = {word: getattr(declared, word) for word in words if getattr(declared, word) is not None}
    return {"type": declared.type_name, **found}


_JSON_TYPES = {"timestamp": "string", "duration": ["string", "number"]}


def part_of(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a declaration, of its items and its properties."""
    found: dict[str, Any] = {}
    kind = declared.get("type", "any")
    if kind != "any":
        found["type"] = _JSON_TYPES.get(kind, kind)
    for word, value in declared.items():
        if word in ("pattern", "minimum", "maximum"):
            found[word] = value
        elif word == "enum":
            found["enum"] = list(value)
        elif word in ("min_length", "max_length"):
            found[word[:3] + ("Items" if kind == "array" else "Length")] = value
        elif word == "items":
            found["items"] = part_of(value)
        elif word == "properties":
            found["properties"] = {name: part_of(each) for name, each in value.items()}
            wanted = [name for name, each in value.items() if each.get("required")]
            found |= {"required": wanted} if wanted else {}
    return found


def bounded(declared: Input) -> bool:
    """Whether more is declared of a value than its type."""
    return any(key not in ("type", "description", "default", "writeOnly") for key in property_of(declared))


# ---------------------------------------------------------------- hints


def hint_of(declared: Input) -> Any:
    """The type hint of a parameter."""
    found = hint(declared.type.not_null(), declared.name.text)
    if declared.enum is not None:
        found = Literal[tuple(each for each in declared.enum)]
    if hidden(declared):
        found = Annotated[found, SecretMark()]
    optional = not declared.required and (not declared.has_default or declared.default is None)
    return found | None if optional and found is not Any else found


def typed_dict(name: str, fields: Mapping[str, Any], *, total: bool) -> Any:
    """A `TypedDict` made at run time."""
    make: Any = TypedDict
    return make(name.title().replace("_", ""), dict(fields), total=total)


def hint(given: Type, name: str) -> Any:
    """A type as a hint from which the same type is read."""
    import datetime

    found: Any = _PLAIN.get(given.kind, Any)
    if given.kind == "array":
        found = list[hint(given.items, name)] if given.items is not None else list[Any]  # type: ignore[misc]
    elif given.kind == "object":
        found = dict[str, Any]
        if given.fields and not given.open:
            fields = {key: hint(each, f"{name}_{key}") for key, each in given.fields.items()}
            found = typed_dict(name, fields, total=False)
    elif given.kind in ("timestamp", "duration"):
        found = datetime.datetime if given.kind == "timestamp" else datetime.timedelta
    return found | None if given.nullable and found is not Any else found
