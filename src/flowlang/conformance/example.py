"""The plugin's example flow: written by its scaffold, led to the subject's service, run, and listened to."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowlang.conformance.calls import Call
from flowlang.conformance.model import Absent, Failed
from flowlang.exceptions import PluginError
from flowlang.tasks.signature import innermost

if TYPE_CHECKING:
    from flowlang.conformance.subject import Ran, Subject
    from flowlang.connections.base import ConnectionPlugin

NAME = "service"  # of the connection in the example
_SAMPLES: Mapping[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


def text_of(plugin: ConnectionPlugin, name: str = NAME) -> str:
    """The example flow as the plugin writes it, its connection called `name`. Raises `Absent` when it has none."""
    from flowlang.connections._capture import captured

    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        try:
            with captured():
                plugin.scaffold_example_flow(folder, name)
        except PluginError as error:
            raise Absent(f"it has no example flow ({error})") from error
        files = sorted(each for each in Path(folder).rglob("*") if each.suffix in (".yaml", ".yml"))
        if not files:
            raise Failed("scaffold_example_flow() wrote no YAML file")
        return files[0].read_text("utf-8")


def led_to(text: str, kind: str, config: Mapping[str, Any]) -> str:
    """The example with its connections of type `kind` configured by `config`."""
    import yaml

    from flowlang.conformance.calls import Steps

    flow = yaml.safe_load(text)
    connections = flow.get("connections") if isinstance(flow, dict) else None
    if not isinstance(connections, dict):
        raise Failed("the example flow has no `connections`")
    for name, entry in connections.items():
        if isinstance(entry, dict) and entry.get("type") == kind:
            connections[name] = {"type": kind, **Steps(name).literal(config)}
    return yaml.safe_dump(flow, sort_keys=False, allow_unicode=True)


def inputs_for(text: str) -> dict[str, Any]:
    """Values for the inputs of the example that it needs and does not default."""
    import yaml

    declared = (yaml.safe_load(text) or {}).get("inputs") or []
    wanted = [each for each in declared if isinstance(each, dict) and "default" not in each and each.get("required")]
    return {each["name"]: _SAMPLES.get(each.get("type", "string"), "example") for each in wanted}


async def ran(subject: Subject) -> Ran:
    """Run the example against the subject's service, in an empty folder."""
    text = led_to(text_of(subject.prototype), subject.plugin.name, subject.config)
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        return await subject.run(text, inputs_for(text), files_root=folder, env=os.environ)


async def recorded(subject: Subject) -> tuple[Call, ...]:
    """The calls that the example makes, in order, with the arguments that reach the tasks."""
    made: list[Call] = []
    tasks = subject.plugin.get_builtin_tasks

    def listening(plugin: ConnectionPlugin) -> dict[str, Callable[..., Any]]:
        return {name: _listened(name, function, made) for name, function in tasks(plugin).items()}

    try:
        done = await ran(subject.variant(get_builtin_tasks=listening))
    except Absent:
        return ()
    if not done.result.succeeded:
        raise Failed(f"the example does not run: {done.result.failure or done.result.findings}")
    return tuple(made)


def _listened(name: str, function: Callable[..., Any], made: list[Call]) -> Callable[..., Any]:
    """`function`, noting the arguments of each call."""
    import inspect

    def note(arguments: dict[str, Any]) -> None:
        made.append(Call(name, {key: each for key, each in arguments.items() if key not in ("connection", "context")}))

    @functools.wraps(function)
    async def plainly(**arguments: Any) -> Any:
        note(arguments)
        return await function(**arguments)

    @functools.wraps(function)
    async def streaming(**arguments: Any) -> Any:
        note(arguments)
        async for batch in function(**arguments):
            yield batch

    return streaming if inspect.isasyncgenfunction(innermost(function)) else plainly
