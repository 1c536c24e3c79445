"""The decorated methods of a typed plugin as its tasks. What is missing is told when the class is made."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import PluginError
from flowlang.tasks.decorator import ATTRIBUTE, TaskOptions, options_of
from flowlang.tasks.signature import INJECTED, innermost, is_async, resolved_hints

_EFFECTS = '`@task(effect="read")`, or `@task(effect="write", idempotent=…)`'


def methods_of(kind: type[ConnectionPlugin], form: type[ConnectionPlugin], owner: str) -> Mapping[str, str]:
    """Task name → the method that is it, in the order in which they are written. Raises `PluginError` that names the
    method and says what is right.

    `form` is the class of the short form: bases that are plugins in the long form bring their tasks themselves."""
    prefix = kind.task_prefix or kind.name.replace("-", "_")
    found: dict[str, str] = {}
    for method, function in _decorated(kind, form):
        options = options_of(function)
        name = options.name or f"{prefix}_{method.strip('_')}"
        where = f"{owner}: task `{name}`, the method `{method}`,"
        if hasattr(ConnectionPlugin, method):
            raise PluginError(
                f"{where} takes the place of a member that every plugin has: call it `{method}_` or otherwise, "
                f'and the task by `@task(name="{prefix}_{method}")`'
            )
        if not name.startswith(f"{prefix}_"):
            raise PluginError(f"{where} must have a name that begins with `{prefix}_`: `{prefix}_{name}`")
        if name in found:
            raise PluginError(f"{where} has the name of the method `{found[name]}`: a task needs a name of its own")
        _check_function(function, options, where)
        found[name] = method
    return found


def _decorated(kind: type, form: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The methods under `@task`, inherited ones first; one that a subclass replaces counts once, as replaced."""
    own = [each for each in reversed(kind.__mro__) if issubclass(each, form) or not issubclass(each, ConnectionPlugin)]
    names = dict.fromkeys(name for each in own for name in vars(each))
    for name in names:
        function = inspect.getattr_static(kind, name)
        if callable(function) and _is_marked(function):
            yield name, function


def _is_marked(function: Any) -> bool:
    seen = 0
    while function is not None and seen < 32:
        if ATTRIBUTE in getattr(function, "__dict__", {}):
            return True
        function, seen = getattr(function, "__wrapped__", None), seen + 1
    return False


def _check_function(function: Callable[..., Any], options: TaskOptions, where: str) -> None:
    if not is_async(function):
        raise PluginError(f"{where} must be `async def`")
    if options.effect is None or (options.effect == "write" and options.idempotent is None):
        raise PluginError(f"{where} does not say what it does to the service and if it may be repeated: {_EFFECTS}")
    hints = resolved_hints(function)
    for each in inspect.signature(function).parameters.values():
        if each.name == "self" or each.name in INJECTED:
            continue
        if each.annotation is each.empty:
            raise PluginError(f"{where} has a parameter `{each.name}` without a type: `{each.name}: str` and the like")
        if each.name not in hints:
            raise PluginError(
                f"{where} has a parameter `{each.name}` whose type `{each.annotation}` cannot be read: "
                "import it outside of `if TYPE_CHECKING`, and define it above the class"
            )
    _check_outputs(function, hints, where)


def _check_outputs(function: Callable[..., Any], hints: Mapping[str, Any], where: str) -> None:
    inner = innermost(function)
    if inspect.isasyncgenfunction(inner):
        return  # its output is the stream, whatever is in it
    if "return" not in inner.__annotations__:
        raise PluginError(f"{where} does not say what it returns: a `TypedDict` whose keys are its outputs, or `None`")
    if "return" not in hints:
        raise PluginError(
            f"{where} returns `{inner.__annotations__['return']}`, which cannot be read: define it above the class"
        )
    answer = hints["return"]
    if answer is not type(None) and not typing.is_typeddict(answer):
        shown = getattr(answer, "__name__", answer)
        raise PluginError(f"{where} returns `{shown}`: write a `TypedDict` whose keys are its outputs, or `None`")
