"""Every task that comes with FlowLang is documented whole, and the example on its page passes the check."""

from __future__ import annotations

import re

import pytest
import yaml

from flowlang import api
from flowlang.connections import plugin_registry
from flowlang.tasks.files import FILE_TASKS
from flowlang.tasks.signature import spec_of
from flowlang.tasks.spec import TaskSpec

BUILT_IN = {each.name: each.plugin for each in plugin_registry.records() if each.source == "built-in" and each.plugin}
SPECS = {
    name: (kind, spec_of(function, name=name))
    for kind, plugin in BUILT_IN.items()
    for name, function in plugin.get_builtin_tasks().items()
} | {name: (None, spec_of(function, name=name)) for name, function in FILE_TASKS.items()}


def whole(kind: str | None, example: str) -> str:
    """A flow around the steps of an example: their connection, and the inputs and steps that they read."""
    head = ["flow: example"]
    if kind is not None:
        named = re.search(r"connection: (\w+)", example)
        assert named, "the example names no connection"
        config = yaml.safe_load(BUILT_IN[kind].scaffold_connection_config(named[1]))
        head.append(yaml.safe_dump(config if "connections" in config else {"connections": config}))
    inputs = sorted(set(re.findall(r"\binputs\.(\w+)", example)))
    head.append(yaml.safe_dump({"inputs": [{"name": each} for each in inputs]}))
    return "\n".join([*head, "steps:", *(f"  {line}" for line in example.splitlines())])


@pytest.mark.parametrize("name", SPECS)
def test_an_example_passes_the_check(name: str) -> None:
    kind, spec = SPECS[name]
    assert spec.example, f"{name} has no example"
    text = whole(kind, spec.example)
    findings = api.check(text=text).findings
    assert not [each for each in findings if each.severity == "error"], f"{text}\n{findings}"


@pytest.mark.parametrize("name", SPECS)
def test_a_task_says_what_it_does(name: str) -> None:
    spec: TaskSpec = SPECS[name][1]
    assert spec.summary
    assert spec.effect is not None
    assert spec.idempotent is not None
    assert [each.name for each in spec.parameters if not each.description] == []
    assert spec.outputs is not None
    assert [each for each in spec.outputs if not spec.returns.get(each)] == []
