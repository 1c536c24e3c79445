"""Configs that plainly fit their schema, which most do, told without a validator: loading one takes a twentieth of the
time of the smallest flow.

Only keywords whose meaning is a line of code are known here. Whatever else a schema asks for, and every value that does
not fit, is left to the validator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

_NOTES = frozenset({"default", "description", "examples", "title", "writeOnly", "$comment", "deprecated"})
_OBJECT = _NOTES | {"type", "properties", "required", "additionalProperties", "$schema"}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def _among(value: Any, choices: Any) -> bool:
    """1 and `true` are the same to Python alone."""
    return any(type(each) is type(value) and each == value for each in choices)


def _of_type(value: Any, names: Any) -> bool:
    return any(type(value) in _TYPES.get(name, ()) for name in ([names] if isinstance(names, str) else names))


_KEYWORDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "type": _of_type,
    "enum": _among,
    "const": lambda value, wanted: _among(value, (wanted,)),
    "minLength": lambda value, least: not isinstance(value, str) or len(value) >= least,
    "maxLength": lambda value, most: not isinstance(value, str) or len(value) <= most,
    "minimum": lambda value, least: not isinstance(value, (int, float)) or value >= least,
    "maximum": lambda value, most: not isinstance(value, (int, float)) or value <= most,
}


def obviously_fits(schema: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether every value of `config` fits, as far as can be told here. False says nothing."""
    if not schema.keys() <= _OBJECT or not config.keys() >= set(schema.get("required", ())):
        return False
    properties = schema.get("properties", {})
    return all(name in properties and _fits(properties[name], value) for name, value in config.items())


def _fits(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, Mapping) or "type" not in wanted:
        return False  # without it booleans would pass for numbers
    if isinstance(value, str) and not value.isascii():
        return False  # half a character may be among them
    if isinstance(value, float) and not isfinite(value):
        return False
    return all(
        keyword in _NOTES or (keyword in _KEYWORDS and _KEYWORDS[keyword](value, asked))
        for keyword, asked in wanted.items()
    )
