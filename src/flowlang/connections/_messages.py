"""What is wrong with a config, in words: one `ConfigProblem` for each thing wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowlang.connections._schema import (
    Path,
    Schema,
    at,
    is_closed,
    is_secret,
    kinds,
    parts,
    properties,
    property_schema,
)
from flowlang.diagnostics import code, nearest
from flowlang.records import frozen

CONFIG_MISSING = code(
    "config-missing",
    """A connection lacks a field that its type requires.

    connections:
      db:

`flowlang connection info mysql` lists the fields; `flowlang connection scaffold mysql` writes a complete config.

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite}}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: orders.db}}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
    ```
    """,
)
CONFIG_UNKNOWN_KEY = code(
    "config-unknown-key",
    """A connection has a field that its type does not know.

    connections:
      cache: {type: redis, ulr: "${env.REDIS_URL}"}      # meant: url

A misspelt field would otherwise be ignored silently. `flowlang connection info redis` lists the fields.

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite, database: orders.db, readonly: true}}
    steps:
      - sqlite_query: {query: SELECT 1}
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: orders.db, read_only: true}}
    steps:
      - sqlite_query: {query: SELECT 1}
    ```
    """,
    fix="guess",
)
CONFIG_TYPE = code(
    "config-type",
    """A field of a connection's config has a value of the wrong type.

    connections:
      db: {type: sqlite, database: app.db, timeout: "soon"}      # a number of seconds

The text of an environment variable or secret is read as the number or boolean that the field wants.

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite, database: 5}}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: orders.db}}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
    ```
    """,
    fix="guess",
)
CONFIG_VALUE = code(
    "config-value",
    """A field of a connection's config has a value that its type does not allow.

    connections:
      db: {type: postgres, url: "${env.DATABASE_URL}", pool_size: 0}      # at least 1

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite, database: orders.db, timeout: -1}}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: orders.db, timeout: 1}}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
    ```
    """,
)
CONFIG_REFUSED = code(
    "config-refused",
    """The plugin itself refuses a connection's config.

A plugin may check more than a schema can say: `validate_config` looked at the whole config and gave this reason.
""",
)


@frozen
class ConfigProblem:
    """`path` leads to the part of the config that is meant: a field, or the object that lacks one."""

    path: Path
    code: str
    message: str
    suggestion: str | None = None


def unknown_keys(schema: Schema, value: Mapping[str, Any], plugin: str) -> Iterator[ConfigProblem]:
    """The keys that closed objects do not know, at any depth."""
    yield from _unknown(schema, value, (), schema, plugin)


def _unknown(schema: object, value: Any, path: Path, root: Schema, plugin: str) -> Iterator[ConfigProblem]:
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _unknown(property_schema(schema, index, root), each, (*path, index), root, plugin)
    if not isinstance(value, Mapping):
        return
    known = properties(schema, root)
    closed = is_closed(schema, root)
    for key, each in value.items():
        inner = property_schema(schema, key, root)
        if closed and key not in known and not _matches_pattern(schema, key, root):
            yield _unknown_key((*path, key), known, plugin)
        else:
            yield from _unknown(inner, each, (*path, key), root, plugin)


def _matches_pattern(schema: object, key: str, root: Schema) -> bool:
    import re

    patterns = (
        pattern for part in parts(schema, root, alternatives=True) for pattern in part.get("patternProperties", ())
    )
    return any(re.search(pattern, key) for pattern in patterns)


def _unknown_key(path: Path, known: Mapping[str, Schema], plugin: str) -> ConfigProblem:
    key = str(path[-1])
    owner = f"`{field_name(path[:-1])}`" if path[:-1] else f"a {plugin} connection" if plugin else "the config"
    meant = nearest(key, known)
    allowed = ", ".join(f"`{each}`" for each in known)
    hint = f"did you mean `{meant}`?" if meant else f"allowed here: {allowed}" if allowed else None
    return ConfigProblem(path, CONFIG_UNKNOWN_KEY, f"unknown field `{key}` in {owner}", hint)


def of_error(error: Any, schema: Schema, plugin: str, *, quote: bool) -> Iterator[ConfigProblem]:
    """A validation error in our words. `quote`: whether the value may be shown."""
    path: Path = tuple(error.instance_path)
    kind = type(error.kind).__name__
    details: Mapping[str, Any] = error.kind.as_dict()
    if kind == "Required":
        yield _missing((*path, details["property"]), schema, plugin)
    elif kind in ("AdditionalProperties", "UnevaluatedProperties"):
        for key in details["unexpected"]:
            yield _unknown_key((*path, key), properties(at(schema, path), schema), plugin)
    elif kind == "Type":
        yield _wrong_type(path, details["types"], error.instance, quote)
    else:
        wanted = _EXPECTED[kind](details) if kind in _EXPECTED else _alternatives(path, kind, schema)
        shown = f", not {_shown(error.instance)}" if quote and _is_scalar(error.instance) else ""
        field = f"`{field_name(path)}`" if path else "the config"
        yield ConfigProblem(path, CONFIG_VALUE, f"{field} must {wanted}{shown}")


def _missing(path: Path, schema: Schema, plugin: str) -> ConfigProblem:
    name = str(path[-1])
    found = at(schema, path)
    kind = " or ".join(sorted(kinds(found, schema)))
    described = f" ({kind}, required)" if kind else " (required)"
    value = "…"
    if is_secret(name, found, schema):
        value = f"${{env.{variable(plugin, name)}}}"
    return ConfigProblem(path[:-1], CONFIG_MISSING, f"`{field_name(path)}`{described} is missing", f"{name}: {value}")


def variable(plugin: str, field: str) -> str:
    """The environment variable that a field's value is conventionally kept in: `MYSERVICE_API_KEY`."""
    return (
        "".join(each if each.isalnum() and each.isascii() else "_" for each in f"{plugin}_{field}").upper().strip("_")
    )


def _wrong_type(path: Path, types: list[str], value: Any, quote: bool) -> ConfigProblem:
    field = f"`{field_name(path)}`" if path else "the config"
    message = f"{field} expects {' or '.join(types)}, not {_kind(value)}"
    if quote and isinstance(value, str):
        message = f"{field} expects {' or '.join(types)}, not the text {_shown(value)}"
    return ConfigProblem(path, CONFIG_TYPE, message, _retyped(types, value) if quote else None)


def _retyped(types: list[str], value: Any) -> str | None:
    """The value as it was most likely meant."""
    if not isinstance(value, str):
        return '"…" in quotes is text' if types == ["string"] and isinstance(value, (int, float)) else None
    words = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
    if "boolean" in types and value.lower() in words:
        return f"did you mean `{words[value.lower()]}`?"
    if {"integer", "number"} & set(types) and value.strip().replace(".", "", 1).isdigit():
        return f"did you mean `{value.strip()}`, without quotes?"
    return None


_EXPECTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "Minimum": lambda it: f"be at least {it['limit']}",
    "Maximum": lambda it: f"be at most {it['limit']}",
    "ExclusiveMinimum": lambda it: f"be greater than {it['limit']}",
    "ExclusiveMaximum": lambda it: f"be less than {it['limit']}",
    "MultipleOf": lambda it: f"be a multiple of {it['multiple_of']}",
    "MinLength": lambda it: "not be empty" if it["limit"] == 1 else f"have at least {it['limit']} characters",
    "MaxLength": lambda it: f"have at most {it['limit']} characters",
    "MinItems": lambda it: "not be empty" if it["limit"] == 1 else f"have at least {it['limit']} items",
    "MaxItems": lambda it: f"have at most {it['limit']} items",
    "UniqueItems": lambda it: "have no item twice",
    "MinProperties": lambda it: f"have at least {it['limit']} fields",
    "MaxProperties": lambda it: f"have at most {it['limit']} fields",
    "Pattern": lambda it: f"match the pattern `{it['pattern']}`",
    "Format": lambda it: f"be written as {it['format']}",
    "Enum": lambda it: f"be one of {', '.join(map(_shown, it['options']))}",
    "Constant": lambda it: f"be {_shown(it['expected_value'])}",
}


def _alternatives(path: Path, kind: str, schema: Schema) -> str:
    """What `anyOf` and its kin want: the groups of fields to choose from, where that is what they are about."""
    groups = []
    for part in parts(at(schema, path), schema):
        choices = (*part.get("anyOf", ()), *part.get("oneOf", ()))
        wanted = (each["required"] for each in choices if isinstance(each, Mapping) and each.get("required"))
        groups += [" and ".join(f"`{name}`" for name in names) for names in wanted]
    if kind in ("AnyOf", "OneOfNotValid") and groups:
        return f"have {', or '.join(groups)}"
    if kind == "OneOfMultipleValid" and groups:
        return f"have only one of: {'; '.join(groups)}"
    return "fit what its type allows"


def field_name(path: Path) -> str:
    """A path as people write it: `auth.scopes[0]`."""
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).lstrip(".")


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def _kind(value: Any) -> str:
    table = ((bool, "a boolean"), (int, "an integer"), (float, "a number"), (str, "text"), (list, "a list"))
    return next((name for python, name in table if isinstance(value, python)), "null" if value is None else "an object")
