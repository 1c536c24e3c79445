"""From a Python function to its `TaskSpec`: the signature is the specification, the docstring its words."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from flowlang.exceptions import PluginError
from flowlang.expressions.types import ANY, Type, stream
from flowlang.tasks import docstring
from flowlang.tasks.decorator import options_of
from flowlang.tasks.hints import Hinted, read_hint, type_of_hint, typed_dict_fields
from flowlang.tasks.spec import REQUIRED, Parameter, TaskSpec

__all__ = ["is_async", "resolved_hints", "spec_of", "type_of_hint"]

INJECTED = frozenset({"connection", "context"})


def spec_of(
    function: Callable[..., Any], *, name: str, connection_type: str | None = None, origin: str = ""
) -> TaskSpec:
    """The specification of a task.

    Decorators are looked through as long as they keep `__wrapped__`; methods may be bound or not. `connection` and
    `context` are injected, every other parameter is the flow's. A `TypedDict` as return type declares the outputs;
    so does `None`, which has none. Raises `PluginError` when the function cannot be called with keywords.
    """
    inner = innermost(function)
    signature = _signature(function, name)
    hints = resolved_hints(inner)
    words = docstring.read(inspect.getdoc(inner))
    options = options_of(function)
    streams = inspect.isasyncgenfunction(inner)
    outputs = _stream_output(options.stream, hints) if streams else _outputs(hints.get("return", ANY))
    own, injects, extra = _parameters(signature, hints, words, name)
    return TaskSpec(
        name=name,
        parameters=own,
        outputs=outputs,
        summary=words.summary,
        description=words.description,
        example=words.example,
        effect=options.effect,
        idempotent=False if callable(options.idempotent) else options.idempotent,
        twice=options.idempotent if callable(options.idempotent) else None,
        connection_type=connection_type,
        injects=injects,
        streams=streams,
        is_async=streams or is_async(function),
        extra=extra,
        origin=origin or getattr(inner, "__module__", "") or "",
        returns=MappingProxyType({key: words.returns[key] for key in outputs or () if key in words.returns}),
    )


def innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it was written, inside decorators, bound methods, partials and callable objects."""
    target: Any = function
    for _ in range(32):
        if isinstance(target, functools.partial):
            target = target.func
        elif hasattr(target, "__wrapped__"):
            target = target.__wrapped__
        elif inspect.ismethod(target):
            target = target.__func__
        elif callable(target) and not inspect.isroutine(target) and not isinstance(target, type):
            target = type(target).__call__
        else:
            break
    found: Callable[..., Any] = target
    return found


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await, or batches to iterate; decorators are looked through."""
    target: Any = function
    for _ in range(32):
        called = target if inspect.isroutine(target) else getattr(target, "__call__", target)  # noqa: B004
        for each in (target, called):
            if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
                return True
        target = getattr(target, "__wrapped__", None)
        if target is None:
            return False
    return False


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise PluginError(f"the parameters of task `{name}` cannot be read: {error}") from error


def resolved_hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The function's hints, resolved. One that cannot be resolved is left out; it does not spoil the others."""
    try:
        return typing.get_type_hints(innermost(function), include_extras=True)
    except Exception:  # noqa: BLE001 - hints are foreign code, and may name what only a type checker imports
        return dict(_one_by_one(innermost(function)))


def _one_by_one(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    names = vars(sys.modules.get(function.__module__, typing))
    for name, hint in getattr(function, "__annotations__", {}).items():
        holder = type("Holder", (), {"__annotations__": {name: hint}})
        try:
            yield name, typing.get_type_hints(holder, globalns=names, include_extras=True)[name]
        except Exception:  # noqa: BLE001 - this very hint is the one that cannot be resolved: its parameter is of any type
            continue


def _parameters(
    signature: inspect.Signature, hints: Mapping[str, Any], words: docstring.Docstring, task: str
) -> tuple[tuple[Parameter, ...], frozenset[str], bool]:
    """The flow's parameters, the injected names, and whether any further keyword is taken."""
    own: list[Parameter] = []
    injects: set[str] = set()
    extra = False
    for index, each in enumerate(signature.parameters.values()):
        if each.kind is each.VAR_KEYWORD:
            extra = True
        elif each.kind is each.VAR_POSITIONAL or (index == 0 and each.name in ("self", "cls")):
            continue
        elif each.name in INJECTED:
            injects.add(each.name)
        elif each.kind is each.POSITIONAL_ONLY:
            raise PluginError(f"parameter `{each.name}` of task `{task}` is positional-only: flows pass names")
        else:
            own.append(_parameter(each, hints.get(each.name, ANY), words.arguments.get(each.name, "")))
    return tuple(own), frozenset(injects), extra


def _parameter(parameter: inspect.Parameter, hint: Any, description: str) -> Parameter:
    hinted = Hinted() if hint is ANY else read_hint(hint)
    required = parameter.default is parameter.empty
    kind = hinted.type.or_null() if parameter.default is None else hinted.type
    if hinted.choices is not None and kind.enum is None and kind.kind not in ("any", "null"):
        kind = replace(kind, enum=hinted.choices)
    return Parameter(
        name=parameter.name,
        type=kind,
        default=REQUIRED if required else parameter.default,
        description=description or hinted.description,
        form=hinted.form,
        secret=hinted.secret,
        keeps=hinted.keeps,
        tables=hinted.tables,
        choices=hinted.choices,
    )


def _outputs(hint: Any) -> Mapping[str, Type] | None:
    """The declared outputs; None when the return type does not declare them."""
    if hint is None or hint is type(None):
        return MappingProxyType({})
    return MappingProxyType(typed_dict_fields(hint)) if typing.is_typeddict(hint) else None


def _stream_output(name: str, hints: Mapping[str, Any]) -> Mapping[str, Type]:
    found = read_hint(hints["return"]).type if "return" in hints else ANY
    return MappingProxyType({name: found if found.kind == "stream" else stream(ANY)})
