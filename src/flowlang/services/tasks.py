"""An operation as a task: a function whose signature, hints and docstring say what the service file says."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from flowlang.document.model import Input
from flowlang.services.model import Operation
from flowlang.services.settings import hint, hint_of, typed_dict
from flowlang.tasks.context import Context
from flowlang.tasks.decorator import task

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def task_of(operation: Operation) -> Callable[..., Any]:
    """The method of a connection's plugin that carries out `operation`."""
    function = _paged(operation) if operation.pages is not None else _single(operation)
    hints = {each.name.text: hint_of(each) for each in operation.params}
    hints |= {"connection": Any, "context": Context | None, "return": _returned(operation)}
    parameters = [
        inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        *(inspect.Parameter(each.name.text, _KEYWORD, default=_default(each)) for each in operation.params),
        inspect.Parameter("connection", _KEYWORD, default=None),
        inspect.Parameter("context", _KEYWORD, default=None),
    ]
    shown = [each.replace(annotation=hints.get(each.name, each.empty)) for each in parameters]
    function.__signature__ = inspect.Signature(shown, return_annotation=hints["return"])  # type: ignore[attr-defined]
    function.__annotations__ = hints
    function.__name__ = function.__qualname__ = operation.task
    function.__doc__ = "\n".join(_words(operation))
    stream = operation.declared[0].name if operation.pages is not None else "rows"
    return task(effect=operation.effect, idempotent=operation.idempotent, stream=stream)(function)


def _single(operation: Operation) -> Callable[..., Any]:
    async def perform(self: Any, connection: Any = None, context: Context | None = None, **given: Any) -> Any:
        return await self.caller.perform(operation, connection, context, given)

    return perform


def _paged(operation: Operation) -> Callable[..., Any]:
    async def perform(
        self: Any, connection: Any = None, context: Context | None = None, **given: Any
    ) -> AsyncGenerator[list[Any], None]:
        async with aclosing(self.caller.pages(operation, connection, given)) as pages:
            async for page in pages:
                yield page

    return perform


def _default(declared: Input) -> Any:
    return inspect.Parameter.empty if declared.required else declared.default if declared.has_default else None


def _returned(operation: Operation) -> Any:
    if operation.pages is not None:
        kind = operation.declared[0].type.items
        return AsyncGenerator[list[hint(kind, "item")] if kind is not None else list[Any], None]  # type: ignore[misc]
    fields = {each.name: hint(each.type, each.name) for each in operation.declared}
    return typed_dict(f"{operation.name}_outputs", fields, total=True)


# ---------------------------------------------------------------- words


def _words(operation: Operation) -> Iterator[str]:
    summary, _, rest = operation.description.strip().partition("\n\n")
    yield " ".join(summary.split())
    if rest.strip():
        yield f"\n{rest.strip()}"
    yield "\nArgs:"
    for each in operation.params:
        yield f"    {each.name.text}: {_line(each.description)}"
    yield "    connection: the client (injected)"
    yield "    context: of the step (injected)"
    yield "\nReturns:"
    for output in operation.declared:
        yield f"    {output.name}: {_line(output.description)}"
    yield "\nExample:"
    yield f"    - {operation.task}:"
    yield "        connection: api"
    for each in operation.params:
        if each.required:
            yield f"        {each.name.text}: {_sample(each)}"


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _sample(declared: Input) -> str:
    import json

    if declared.enum:
        return json.dumps(declared.enum[0])
    return f'"${{inputs.{declared.name.text}}}"'
