"""A dataclass as the config of a plugin: its JSON Schema, and its instances from checked values.

| in Python | in the schema |
|---|---|
| `str`, `int`, `float`, `bool`; `Literal["a", "b"]` | `type`; `enum` |
| `T | None` | `null` beside the type |
| `list[T]`, `tuple[T, ...]`, `dict[str, T]`; another dataclass | `array`; `object` with its own properties |
| a default, or a `default_factory` | `default`; a field without one is `required` |
| `Secret[T]` | `writeOnly` |
| `Annotated[T, "words"]`, or `Doc("words")` of typing_extensions | `description` |
| `Annotated[T, Ge(1), …]` | the bound |
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from flowlang.connections._schema import is_secret
from flowlang.connections._typed_marks import Schema, with_marks
from flowlang.exceptions import PluginError

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_WANTED = (
    "`str`, `int`, `float`, `bool`, `Literal[…]`, `list[…]`, `dict[str, …]`, a dataclass, or one of these `| None`"
)


# ---------------------------------------------------------------- the schema


def schema_of_config(kind: type, owner: str) -> Schema:
    """The JSON Schema of a config dataclass. Raises `PluginError` that names the field and says what is right."""
    schema = _of_dataclass(kind, owner, ())
    _check_defaults(schema, owner, kind)
    return schema


def _of_dataclass(kind: Any, owner: str, above: tuple[type, ...]) -> Schema:
    if kind in above:
        raise PluginError(f"{owner}: config {kind.__name__} contains itself, which no JSON Schema of a config can say")
    hints = _hints(kind, owner)
    properties: dict[str, Schema] = {}
    required = []
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        where = f"{owner}: config field `{kind.__name__}.{field.name}`"
        properties[field.name] = found = _of_hint(hints[field.name], where, (*above, kind))
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(field.name)
        else:
            made = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            found["default"] = _as_json(made, where)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _hints(kind: type, owner: str) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except Exception as error:
        raise PluginError(
            f"{owner}: the types of config {kind.__name__} cannot be read ({type(error).__name__}: {error}); "
            "import what they name outside of `if TYPE_CHECKING`, and define it above the class"
        ) from error


def _of_hint(hint: Any, where: str, above: tuple[type, ...]) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return with_marks(_of_hint(arguments[0], where, above), arguments[1:], where)
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if origin is Literal:
        return {"type": _kinds_of(arguments, where), "enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return _of_union([_of_hint(each, where, above) for each in arguments])
    if origin is list or origin is Sequence or (origin is tuple and arguments[1:] == (...,)):
        return {"type": "array", **_inner("items", arguments[0], where, above)}
    if origin in (dict, Mapping) and arguments[0] is str:
        return {"type": "object", **_inner("additionalProperties", arguments[1], where, above)}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _of_dataclass(hint, where, above)
    shown = hint.__name__ if isinstance(hint, type) and origin is None else hint
    raise PluginError(f"{where} has the type `{shown}`, which no setting can have: use {_WANTED}")


def _inner(key: str, hint: Any, where: str, above: tuple[type, ...]) -> Schema:
    return {} if hint is Any else {key: _of_hint(hint, where, above)}


def _kinds_of(values: tuple[Any, ...], where: str) -> str | list[str]:
    unfit = next((each for each in values if type(each) not in _PLAIN), None)
    if unfit is not None:
        raise PluginError(f"{where}: `Literal` may hold texts, numbers and truth values, not {unfit!r}")
    kinds = list(dict.fromkeys(_PLAIN[type(each)] for each in values))
    return kinds[0] if len(kinds) == 1 else kinds


def _of_union(members: list[Schema]) -> Schema:
    """One of several: as a list of types where that says it all, with `null` inside the type of an only other."""
    solid = [each for each in members if each != {"type": "null"}]
    if len(solid) == 1 < len(members) and "type" in solid[0]:
        only = dict(solid[0])
        kinds = only["type"] if isinstance(only["type"], list) else [only["type"]]
        only["type"] = [*kinds, "null"]
        return {**only, "enum": [*only["enum"], None]} if "enum" in only else only
    if all(each.keys() == {"type"} for each in members):
        return {"type": [each["type"] for each in members]}
    return {"anyOf": members}


# ---------------------------------------------------------------- defaults


def _as_json(value: Any, where: str) -> Any:
    """A default as it stands in the schema."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_as_json(each, where) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _as_json(each, where) for key, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _as_json(getattr(value, each.name), where) for each in dataclasses.fields(value)}
    raise PluginError(f"{where} has the default {value!r}, which cannot be written in a schema")


def _check_defaults(schema: Schema, owner: str, kind: type) -> None:
    from flowlang.connections.config import problems

    given = {name: each["default"] for name, each in schema["properties"].items() if "default" in each}
    for each in problems(schema, given):
        if each.path:
            raise PluginError(
                f"{owner}: config field `{kind.__name__}.{each.path[0]}` has a default that does not fit its own type "
                f"and bounds: {each.message}"
            )


# ---------------------------------------------------------------- instances


def build(kind: Any, values: Mapping[str, Any]) -> Any:
    """An instance of a config dataclass from checked values. Raises what its `__post_init__` raises."""
    hints = typing.get_type_hints(kind)
    fields = {each.name for each in dataclasses.fields(kind) if each.init}
    return kind(**{name: _made(hints[name], value) for name, value in values.items() if name in fields})


def _made(hint: Any, value: Any) -> Any:
    """`value` with dataclasses and tuples in the places where `hint` has them."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(value, Mapping):
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return build(hint, value)
        if origin in (dict, Mapping):
            return {key: _made(arguments[1], each) for key, each in value.items()}
    if isinstance(value, (list, tuple)) and origin in (list, tuple, Sequence):
        made = [_made(arguments[0], each) for each in value]
        return tuple(made) if origin is tuple else made
    if origin in (Union, types.UnionType):
        fitting = (each for each in arguments if _fits(each, value))
        return _made(next(fitting, type(value)), value)
    return value


def _fits(hint: Any, value: Any) -> bool:
    kind = get_origin(hint) or hint
    if isinstance(value, Mapping):
        return kind in (dict, Mapping) or dataclasses.is_dataclass(kind)
    return isinstance(value, (list, tuple)) and kind in (list, tuple, Sequence)


def hide_secrets(kind: Any, schema: Schema) -> None:
    """Make the `repr` of a config, and of the configs inside it, show no secret. One that its author wrote stays."""
    if not kind.__dataclass_params__.repr:
        return
    hidden = {name for name, each in schema["properties"].items() if is_secret(name, each, schema)}
    for each in _inner_kinds(kind):
        hide_secrets(each, _of_dataclass(each, kind.__name__, ()))

    def shown(self: Any) -> str:
        pairs = ((each.name, getattr(self, each.name)) for each in dataclasses.fields(self) if each.repr)
        text = ", ".join(f"{name}={'***' if name in hidden else repr(value)}" for name, value in pairs)
        return f"{type(self).__qualname__}({text})"

    kind.__repr__ = shown


def _inner_kinds(hint: Any) -> Iterator[type]:
    dataclass = isinstance(hint, type) and dataclasses.is_dataclass(hint)
    for each in tuple(typing.get_type_hints(hint).values()) if dataclass else get_args(hint):
        if isinstance(each, type) and dataclasses.is_dataclass(each):
            yield each
        elif get_args(each):
            yield from _inner_kinds(each)
