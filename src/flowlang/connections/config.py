"""The config of a connection, from the values in a flow to what `connect()` is given.

    coerce (text of variables → the schema's types) → check → defaults → deep copy → validate_config

All functions are pure over a schema and plain values; none knows of files or positions. A problem says which
part of the config it is about (`path`), and whoever calls knows where that part was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flowlang.connections import _schema as reading
from flowlang.connections._filling import coerce, with_defaults
from flowlang.connections._messages import (
    CONFIG_REFUSED,
    CONFIG_TYPE,
    CONFIG_VALUE,
    ConfigProblem,
    of_error,
    unknown_keys,
)
from flowlang.connections._obvious import obviously_fits
from flowlang.connections._schema import Path, Schema, type_of_schema
from flowlang.connections._secrets import hides, secret_paths, secret_texts
from flowlang.exceptions import PluginError
from flowlang.expressions.types import Type
from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.connections.base import ConnectionPlugin

__all__ = [
    "ConfigProblem",
    "Prepared",
    "check_literal",
    "coerce",
    "config_type",
    "prepare",
    "problems",
    "schema_of",
    "scrubbed",
    "secret_paths",
    "secret_texts",
    "type_of_schema",
    "with_defaults",
]

_NOTHING: Mapping[Path, str] = MappingProxyType({})


# ---------------------------------------------------------------- the schema


def schema_of(plugin: ConnectionPlugin) -> dict[str, Any]:
    """The plugin's config schema. Raises `PluginError` unless it is a valid JSON Schema of an object."""
    called = f"plugin {plugin.name}"
    try:
        schema = plugin.get_config_schema()
    except Exception as error:
        raise PluginError(f"{called}: get_config_schema() failed: {type(error).__name__}: {error}") from error
    if not isinstance(schema, dict):
        raise PluginError(f"{called}: get_config_schema() must return a dict, not {type(schema).__name__}")
    known = _KNOWN.get(type(plugin))
    if known is not None and known[0] == schema:
        return known[0]  # the very object whose compiled form `_compiled` finds again
    if schema.get("type", "object") != "object":
        raise PluginError(f"{called}: the config schema must be of type object, not {schema['type']!r}")
    try:
        text = json.dumps(schema)
        _KNOWN[type(plugin)] = (schema, None if _is_ours(plugin) else _validator(text))
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PluginError(f"{called}: the config schema is not a valid JSON Schema: {reason}") from error
    return schema


_KNOWN: dict[type, tuple[dict[str, Any], Any]] = {}
"""Plugin class → the schema it last gave, and its compiled form. That of ours is made when it is needed: the
conformance kit has seen that they are valid."""


def _is_ours(plugin: ConnectionPlugin) -> bool:
    return type(plugin).__module__.startswith("flowlang.connections.")


def _compiled(schema: Schema) -> Any:
    for known, validator in _KNOWN.values():
        if known is schema and validator is not None:
            return validator
    return _validator(json.dumps(schema))


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    """The compiled schema, which never fetches anything."""
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(json.loads(schema), offline=True, validate_formats=True)


def config_type(schema: Schema, path: Path = ()) -> Type:
    """The type that the config wants at `path`, `ANY` where the schema does not say."""
    found = reading.at(schema, path)
    wanted = type_of_schema(found, schema)
    named = bool(path) and isinstance(path[-1], str) and reading.is_secret(path[-1], found, schema)
    return replace(wanted, secret=True) if named else wanted


# ---------------------------------------------------------------- checking


def problems(
    schema: Schema,
    value: Any,
    *,
    dynamic: Collection[Path] = frozenset(),
    plugin: str = "",
    sources: Mapping[Path, str] = _NOTHING,
) -> list[ConfigProblem]:
    """Everything wrong with `value`, together, each cause once.

    `dynamic` are the paths whose value is not known yet: nothing is said of what depends on them. `sources` name
    the variables that values came from. Values of secret fields and of variables are never quoted.
    """
    plain = _plain(value)
    if not isinstance(plain, dict):
        return [ConfigProblem((), CONFIG_TYPE, "a connection's config must be an object")]
    if obviously_fits(schema, plain):
        return []
    unknown = list(unknown_keys(schema, plain, plugin))
    errors = list(_compiled(schema).iter_errors(plain))
    if not unknown and not errors:
        return []
    hidden = secret_paths(schema, plain) | frozenset(sources)
    found = list(unknown)
    for error in errors:
        path = tuple(error.instance_path)
        if not _depends(path, type(error.kind).__name__, dynamic):
            found += of_error(error, schema, plugin, quote=not hides(hidden, path))
    mistyped = {each.path for each in found if each.code == CONFIG_TYPE}
    unique: dict[tuple[Path, str], ConfigProblem] = {}
    for each in found:
        explained = each.code == CONFIG_VALUE and each.path in mistyped
        explained |= any(each.path[: len(other.path)] == other.path for other in unknown if other is not each)
        if not explained:
            unique.setdefault((each.path, each.message), _with_source(each, sources))
    return list(unique.values())


# Findings about an object or list as a whole that do not look at the values inside.
_SHALLOW = frozenset(
    "Required AdditionalProperties UnevaluatedProperties MinProperties MaxProperties MinItems MaxItems Type "
    "PropertyNames".split()
)


def _depends(path: Path, kind: str, dynamic: Collection[Path]) -> bool:
    """Whether a finding at `path` may be owed to a value that is not known."""
    deep = kind not in _SHALLOW
    return any(path[: len(each)] == each or (deep and each[: len(path)] == path) for each in dynamic)


def _with_source(problem: ConfigProblem, sources: Mapping[Path, str]) -> ConfigProblem:
    source = sources.get(problem.path)
    return replace(problem, message=f"{problem.message} (its value comes from `{source}`)") if source else problem


def _plain(value: Any) -> Any:
    """`value` as JSON has it, for checking only: times as text, and what JSON cannot hold as null."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    import datetime
    import decimal
    import uuid

    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta, uuid.UUID)):
        return str(value)
    return None


# ---------------------------------------------------------------- all together


@frozen
class Prepared:
    """`config` is ready for `connect()` unless there are `problems`. `secrets` must never be shown anywhere."""

    config: dict[str, Any]
    problems: tuple[ConfigProblem, ...]
    secrets: tuple[str, ...]


def prepare(plugin: ConnectionPlugin, values: Mapping[str, Any], *, sources: Mapping[Path, str] = _NOTHING) -> Prepared:
    """The config for `connect()` from the resolved values of a connection.

    `sources` maps the paths whose text came from a variable to that variable (`env.PORT`). The plugin gets a copy
    of its own: what it changes there, nobody else sees. Raises `PluginError` when the schema itself is invalid.
    """
    schema = schema_of(plugin)
    coerced, found = coerce(schema, values, sources.keys(), sources)
    failed = {each.path for each in found}
    found += [
        each for each in problems(schema, coerced, plugin=plugin.name, sources=sources) if each.path not in failed
    ]
    config = deepcopy(with_defaults(schema, coerced))
    secrets = tuple(secret_texts(schema, config))
    if not found:
        found = list(_refusals(plugin, config, secrets))
    return Prepared(config, tuple(found), secrets)


def check_literal(
    plugin: ConnectionPlugin, values: Mapping[str, Any], dynamic: Collection[Path]
) -> list[ConfigProblem]:
    """What can be said of a config before any run: the schema's findings, and when every value is known and fits,
    the plugin's own `validate_config`."""
    schema = schema_of(plugin)
    found = problems(schema, values, dynamic=dynamic, plugin=plugin.name)
    if found or dynamic:
        return found
    config = deepcopy(with_defaults(schema, values))
    return list(_refusals(plugin, config, tuple(secret_texts(schema, values))))


def _refusals(plugin: ConnectionPlugin, config: dict[str, Any], secrets: tuple[str, ...]) -> Iterator[ConfigProblem]:
    """What the plugin's own `validate_config` says, with every secret taken out of its words."""
    from flowlang.connections._capture import captured
    from flowlang.connections.base import ConnectionPlugin

    if type(plugin).validate_config is ConnectionPlugin.validate_config:
        return  # it would check the schema once more
    called = f"plugin `{plugin.name}`"
    try:
        with captured():
            answer: Any = plugin.validate_config(config)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise TypeError("validate_config must return (is_valid, message)")
        valid, message = answer
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code: what it raises is a finding
        reason = f"{called} failed while checking the config: {type(error).__name__}: {error}"
        yield ConfigProblem((), CONFIG_REFUSED, scrubbed(reason, secrets))
        return
    if not valid:
        reason = f"{called} refuses the config: {message}" if message else f"{called} refuses the config"
        yield ConfigProblem((), CONFIG_REFUSED, scrubbed(reason, secrets))


def scrubbed(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with the secrets masked; all but its first words withheld, where one is too short to be searched for."""
    from flowlang.masking import SHORTEST, Masker

    if any(re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text) for each in secrets if len(each) < SHORTEST):
        return f"{text.partition(':')[0]} (its words are withheld: they hold a secret)"
    return Masker(secrets).text(text)
