"""An example flow out of the examples in the docstrings of a plugin's tasks, for a plugin without `example.yaml`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.connections.base import ConnectionPlugin
    from flowlang.tasks.spec import TaskSpec

NAME = "api"  # of the connection, where no example calls it otherwise
_INPUT = re.compile(r"\binputs\.(\w+)")
_INPUT_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})


def composed(plugin: ConnectionPlugin) -> str | None:
    """A flow that runs the tasks' examples one after the other, in the order of the tasks; None when none has one.

    What the examples read from `inputs` the flow declares; what the last step gives are its outputs.
    """
    import yaml

    from flowlang.tasks.signature import spec_of

    specs = [spec_of(function, name=task) for task, function in plugin.get_builtin_tasks().items()]
    examples = [each.example for each in specs if each.example is not None]
    if not examples:
        return None
    steps = [step for each in examples for step in yaml.safe_load(each) or ()]
    known = {each.name: each for each in specs}
    name = next((each["connection"] for _, each in _calls(steps) if "connection" in each), NAME)
    parts = [
        f"flow: {plugin.name.replace('-', '_')}_example",
        f"connections:\n{textwrap.indent(textwrap.dedent(plugin.scaffold_connection_config(name)), '  ').rstrip()}",
        *_inputs("\n".join(examples), steps, known),
        "steps:",
        *(textwrap.indent(each, "  ") for each in examples),
        *_outputs(steps, known),
    ]
    return "\n".join(parts) + "\n"


def _calls(steps: Sequence[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The task and what stands under it, for each step that calls one by its name."""
    for step in steps:
        for task, given in step.items() if isinstance(step, dict) else ():
            if isinstance(given, dict):
                yield task, given


def _inputs(text: str, steps: Sequence[Any], known: Mapping[str, TaskSpec]) -> Iterator[str]:
    names = list(dict.fromkeys(_INPUT.findall(text)))
    if names:
        yield "inputs:"
    for name in names:
        yield f"  - {{name: {name}, type: {_type_of(name, steps, known)}, required: true}}"


def _type_of(name: str, steps: Sequence[Any], known: Mapping[str, TaskSpec]) -> str:
    """The type of the parameter that an input is given to as it is; else text."""
    for task, given in _calls(steps):
        for key, value in given.items():
            parameter = known[task].parameter(key) if task in known else None
            if parameter is not None and value == f"${{inputs.{name}}}" and parameter.type.kind in _INPUT_TYPES:
                return parameter.type.kind
    return "string"


def _outputs(steps: Sequence[Any], known: Mapping[str, TaskSpec]) -> Iterator[str]:
    last = next(((known[task], each) for task, each in reversed(list(_calls(steps))) if task in known), None)
    if last is None or "id" not in last[1] or last[0].streams or not last[0].outputs:
        return
    spec, given = last
    yield "outputs:"
    for key in spec.outputs or ():
        yield f'  - {{name: {key}, value: "${{{given["id"]}.{key}}}"}}'
