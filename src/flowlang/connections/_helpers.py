"""The text of a Python module that calls each task of a plugin."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING

from flowlang.expressions.types import Type
from flowlang.tasks.spec import REQUIRED, Parameter, TaskSpec

if TYPE_CHECKING:
    from flowlang.connections.base import ConnectionPlugin

_HINTS = {
    "string": "str",
    "sql": "str",
    "identifier": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict[str, Any]",
    "array": "list[Any]",
    "bytes": "bytes",
}


def module_text(plugin: ConnectionPlugin, name: str) -> str:
    """The module: a context manager `name` that opens the connection, and a function for each task."""
    from flowlang.connections import _schema as reading
    from flowlang.connections._messages import variable
    from flowlang.connections.config import schema_of
    from flowlang.tasks.signature import spec_of

    schema = schema_of(plugin)
    fields = reading.required(schema, schema)
    config = ", ".join(f"{each}=os.environ[{variable(plugin.name, each)!r}]" for each in fields)
    specs = [spec_of(function, name=task) for task, function in plugin.get_builtin_tasks().items()]
    example = specs[0].name if specs else None
    if example == name or any(each.name == name for each in specs):
        name = f"{name}_connection"
    call = f"\n            await {example}(service, ...)" if example else "\n            ..."
    head = f'''"""The tasks of a {plugin.name} connection as Python functions.

    import asyncio, os

    async def main():
        async with {name}({config}) as service:{call}

    asyncio.run(main())
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from flowlang.connections import Service, opened


def {name}(**config: Any) -> AbstractAsyncContextManager[Service]:
    """Open a {plugin.name} connection; it is closed at the end of the `async with` block."""
    return opened({plugin.name!r}, config)
'''
    if not any(each.streams for each in specs):
        head = head.replace("from collections.abc import AsyncIterator\n", "")
    return "\n\n".join((head, *map(_function, specs)))


def _function(spec: TaskSpec) -> str:
    ordered = sorted(filter(_writable, spec.parameters), key=lambda each: not each.required)
    service = "service_" if spec.parameter("service") else "service"
    listed = ", ".join((f"{service}: Service", *(["*"] if ordered else []), *map(_declared, ordered)))
    passed = ", ".join((repr(spec.name), *(f"{each.name}={each.name}" for each in ordered)))
    summary = " ".join((spec.summary or f"The task {spec.name}.").split()).replace("\\", "\\\\").replace('"""', "'''")
    if spec.streams:
        return (
            f"def {spec.name}({listed}) -> AsyncIterator[list[Any]]:\n"
            f'    """{summary}"""\n    return {service}.stream({passed})\n'
        )
    return (
        f"async def {spec.name}({listed}) -> dict[str, Any]:\n"
        f'    """{summary}"""\n    return await {service}.run({passed})\n'
    )


def _writable(parameter: Parameter) -> bool:
    """Whether the parameter can stand in source; one whose default cannot is left to its default."""
    return not keyword.iskeyword(parameter.name) and (parameter.required or _is_literal(parameter.default))


def _is_literal(value: object) -> bool:
    import ast

    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


def _declared(parameter: Parameter) -> str:
    hint = _hint(parameter.type)
    return f"{parameter.name}: {hint}" + ("" if parameter.default is REQUIRED else f" = {parameter.default!r}")


def _hint(kind: Type) -> str:
    hint = _HINTS.get(kind.kind, "Any")
    return f"{hint} | None" if kind.nullable and hint not in ("Any", "None") else hint
