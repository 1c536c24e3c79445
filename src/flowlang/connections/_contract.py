"""What a class must be to be a connection plugin. Each breach is a `PluginError` that names the member."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowlang.connections.base import REQUIRED, ConnectionPlugin, lacking
from flowlang.exceptions import ERROR_CLASSES, PluginError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_TASK_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AWAITED = (*REQUIRED[1:], "release_connection", "discard_connection", "ping")


def prototype_of(plugin: ConnectionPlugin | type[ConnectionPlugin]) -> ConnectionPlugin:
    """The instance that stands for a registered plugin, checked against the contract.

    A class is made into an instance; of an instance, `type(plugin)()` must work too, since that is what each run
    does. Nothing is opened and no schema is read. Raises `PluginError`.
    """
    kind = plugin if isinstance(plugin, type) else type(plugin)
    if not issubclass(kind, ConnectionPlugin):
        raise PluginError(f"{_called(kind)} is not a subclass of flowlang.connections.base.ConnectionPlugin")
    if absent := lacking(kind):
        raise PluginError(f"plugin {_called(kind)} does not define {_listed(absent)}")
    fresh = _made(kind)
    _check_metadata(fresh)
    _check_awaited(fresh)
    _check_tasks(fresh)
    _check_error_table(fresh)
    if not isinstance(plugin, ConnectionPlugin):
        return fresh
    if plugin.name != fresh.name:
        raise PluginError(
            f"plugin {_called(kind)} has the name {plugin.name!r} on the registered instance only; "
            "set it on the class, since each run makes an instance of its own"
        )
    return plugin


def _made(kind: type[ConnectionPlugin]) -> ConnectionPlugin:
    try:
        return kind()
    except Exception as error:
        raise PluginError(
            f"plugin {_called(kind)} cannot be made without arguments ({type(error).__name__}: {error}); "
            "its config comes to connect(), not to the constructor"
        ) from error


def _check_metadata(plugin: ConnectionPlugin) -> None:
    called = _called(type(plugin))
    for member in ("name", "version"):
        value = getattr(plugin, member)
        if not isinstance(value, str) or not value.strip():
            raise PluginError(f"plugin {called} does not define `{member}` (a text)")
    if not isinstance(plugin.description, str):
        raise PluginError(f"plugin {called}: `description` must be a text")
    if not _NAME.fullmatch(plugin.name):
        raise PluginError(f"plugin {called}: the name {plugin.name!r} may hold letters, digits, `_` and `-` only")


def _check_awaited(plugin: ConnectionPlugin) -> None:
    from flowlang.tasks.signature import is_async

    for member in _AWAITED:
        if not is_async(getattr(plugin, member)):
            raise PluginError(f"plugin {_called(type(plugin))}: `{member}` must be `async def`")


def _check_tasks(plugin: ConnectionPlugin) -> None:
    from flowlang.tasks.signature import is_async

    called = _called(type(plugin))
    try:
        tasks: Any = plugin.get_builtin_tasks()
    except Exception as error:
        raise PluginError(f"plugin {called}: get_builtin_tasks() failed: {type(error).__name__}: {error}") from error
    if not isinstance(tasks, Mapping):
        raise PluginError(f"plugin {called}: get_builtin_tasks() must return a dict of task name → function")
    for name, function in tasks.items():
        if not isinstance(name, str) or not _TASK_NAME.fullmatch(name):
            raise PluginError(f"plugin {called}: {name!r} cannot be the name of a task")
        if not is_async(function):
            raise PluginError(f"plugin {called}: task `{name}` must be an `async def` function")


def _check_error_table(plugin: ConnectionPlugin) -> None:
    called = _called(type(plugin))
    table: Any = plugin.error_table
    if isinstance(table, Mapping):
        for key, verdict in table.items():
            name = getattr(verdict, "error_class", verdict)
            if name not in ERROR_CLASSES:
                raise PluginError(f"plugin {called}: error_table gives {key!r} the unknown error class {name!r}")
        return
    import inspect

    try:
        inspect.signature(table).bind(ValueError())
    except TypeError as error:
        raise PluginError(
            f"plugin {called}: error_table must be a mapping, or a method that takes one error ({error})"
        ) from error


def _called(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _listed(members: tuple[str, ...]) -> str:
    return ", ".join(f"`{each}()`" for each in members)
