"""What the schema makes of a flow's values: defaults for keys that are missing, types for the texts of variables."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from flowlang.connections import _schema as reading
from flowlang.connections._messages import CONFIG_TYPE, ConfigProblem, field_name
from flowlang.connections._schema import Path, Schema

_NOTHING: Mapping[Path, str] = MappingProxyType({})
_ABSENT: Any = object()

# ---------------------------------------------------------------- defaults


def with_defaults(schema: Schema, value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` with the schema's defaults where a key is missing, inside nested objects and lists too."""
    filled = _filled(schema, value, schema)
    assert isinstance(filled, dict)
    return filled


def _filled(schema: object, value: Any, root: Schema) -> Any:
    if isinstance(value, (list, tuple)):
        return [_filled(reading.property_schema(schema, index, root), each, root) for index, each in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    result = dict(value)
    for part in reading.parts(schema, root):
        for name, declared in part.get("properties", {}).items():
            default = next((each["default"] for each in reading.parts(declared, root) if "default" in each), _ABSENT)
            if name not in result and default is not _ABSENT:
                result[name] = deepcopy(default)
    return {
        key: _filled(reading.property_schema(schema, key, root), each, root)
        if isinstance(each, (Mapping, list))
        else each
        for key, each in result.items()
    }


# ---------------------------------------------------------------- text of variables

_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def coerce(
    schema: Schema, value: Any, textual: Collection[Path], sources: Mapping[Path, str] = _NOTHING
) -> tuple[Any, list[ConfigProblem]]:
    """Text that came from a variable as the integer, number or boolean that the schema wants there.

    `textual` are the paths of such text; `sources` name their variables (`env.PORT`), for the problems. Returns a
    new value; a problem names the variable and never its value.
    """
    found: list[ConfigProblem] = []

    def walk(each: Any, path: Path) -> Any:
        if isinstance(each, Mapping):
            return {key: walk(inner, (*path, str(key))) for key, inner in each.items()}
        if isinstance(each, (list, tuple)):
            return [walk(inner, (*path, index)) for index, inner in enumerate(each)]
        if path not in textual or not isinstance(each, str):
            return each
        allowed = reading.kinds(reading.at(schema, path), schema)
        converted = _converted(each, allowed)
        if converted is _ABSENT:
            wanted = " or ".join(sorted(allowed & _READABLE))
            source = sources.get(path)
            text = f"the text of `{source}`" if source else "its text"
            field = field_name(path)
            found.append(ConfigProblem(path, CONFIG_TYPE, f"`{field}` expects {wanted}, and {text} is not one"))
            return each
        return converted

    return walk(value, ()), found


_READABLE = frozenset({"integer", "number", "boolean"})


def _converted(text: str, allowed: frozenset[str]) -> Any:
    """`text` as one of the `allowed` types, itself when text may stay, `_ABSENT` when it fits none."""
    if not allowed & _READABLE or "string" in allowed:
        return text
    bare = text.strip()
    if "integer" in allowed | ({"integer"} if "number" in allowed else set()) and _WHOLE.fullmatch(bare):
        return int(bare)
    if "number" in allowed and _NUMBER.fullmatch(bare) and abs(float(bare)) != float("inf"):
        return float(bare)
    if "boolean" in allowed and bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    return _ABSENT
