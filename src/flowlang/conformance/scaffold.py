"""Checks of what is written for users: the snippet, the example, the helpers, the docs, and what is said without it."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from flowlang import api
from flowlang.conformance import example as examples
from flowlang.conformance.model import Absent, Failed, check
from flowlang.conformance.offline import driver_modules, sight_of
from flowlang.conformance.subject import Subject
from flowlang.connections.dependencies import dependencies


@check("contract")
async def snippet_valid(subject: Subject) -> None:
    """The config snippet is YAML under the given name, and passes the check as part of a flow."""
    import textwrap

    for name in ("api", "other_name"):
        snippet = subject.prototype.scaffold_connection_config(name)
        text = textwrap.indent(textwrap.dedent(snippet).strip("\n"), "  ")
        checked = api.check(text=f"flow: it\nconnections:\n{text}\nsteps: []\n", registry=subject.registry)
        wrong = [each for each in checked.findings if each.severity == "error"]
        if wrong or checked.plan is None:
            raise Failed(f"the snippet does not pass the check: {wrong[0].message}")
        if [each.name for each in checked.plan.connections] != [name]:
            raise Failed(f"the snippet does not call the connection `{name}`")


@check("contract")
async def example_checks(subject: Subject) -> None:
    """The example flow passes the check as it is written."""
    checked = api.check(text=examples.text_of(subject.prototype), registry=subject.registry)
    for each in checked.findings:
        if each.severity == "error":
            raise Failed(f"the example does not pass the check: {each.span}: {each.message}")


@check("contract")
async def example_runs(subject: Subject) -> None:
    """The example flow runs against the service."""
    ran = await examples.ran(subject)
    if not ran.result.succeeded:
        failure = ran.result.failure
        raise Failed(f"the example does not run: {failure.detail if failure else ran.result.findings}")


@check("contract")
async def helpers_run(subject: Subject) -> None:
    """The helpers are a Python module that imports, with a function for each task, and they work."""
    plugin = subject.prototype
    tasks = plugin.get_builtin_tasks()
    if not tasks:
        raise Absent("it has no tasks")
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        plugin.scaffold_task_helpers(folder, "it")
        module = _imported(Path(folder))
    missing = [each for each in tasks if not callable(getattr(module, each, None))]
    if missing:
        raise Failed(f"the helpers have no function `{missing[0]}`")
    call = await subject.reading()
    async with subject.opened() as opened:
        service = _Direct(opened)
        if not isinstance(await getattr(module, call.task)(service, **call.arguments), dict):
            raise Failed(f"the helper `{call.task}` gives no outputs")


class _Direct:
    """What helpers call: the tasks of an opened connection, by name."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened

    async def run(self, task: str, **arguments: Any) -> Any:
        from flowlang.conformance.calls import Call

        return await self._opened.call(Call(task, arguments))


def _imported(folder: Path) -> ModuleType:
    files = sorted(folder.glob("*.py"))
    if not files:
        raise Failed("scaffold_task_helpers() wrote no Python file")
    spec = importlib.util.spec_from_file_location("conformance_helpers", files[0])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Failed(f"the helpers cannot be imported: {type(error).__name__}: {error}") from error
    return module


@check("quality")
async def tasks_documented(subject: Subject) -> None:
    """Every task says in its docstring what it does."""
    for name, spec in subject.specs.items():
        if not spec.summary.strip():
            raise Failed(f"task `{name}` has no docstring")


@check("quality")
async def docs_checked(subject: Subject) -> None:
    """The YAML example in the docstring of a task is a step that the check accepts."""
    import yaml

    tried = 0
    for name, spec in subject.specs.items():
        if spec.example is None:
            continue
        tried += 1
        try:
            steps = yaml.safe_load(spec.example)
        except yaml.YAMLError as error:
            raise Failed(f"the example in the docstring of `{name}` is no YAML: {error}") from error
        if not isinstance(steps, list) or not any(isinstance(each, dict) and name in each for each in steps):
            raise Failed(f"the example in the docstring of `{name}` is no list with a step `{name}`")
        known = {each.name for each in spec.parameters}
        for step in (each[name] for each in steps if isinstance(each, dict) and name in each):
            _check_arguments(name, step, known, {each.name for each in spec.parameters if each.required})
    if not tried:
        raise Absent("no docstring has an example")


_STEP_KEYS = frozenset("id connection outputs inputs retry timeout if on_error on_cancel cache description".split())


def _check_arguments(task: str, step: Any, known: set[str], required: set[str]) -> None:
    if not isinstance(step, dict):
        raise Failed(f"the example in the docstring of `{task}` gives no parameters")
    unknown = step.keys() - known - _STEP_KEYS
    if unknown:
        raise Failed(f"the example in the docstring of `{task}` has a parameter `{min(unknown)}`, the task has none")
    if missing := required - step.keys() - {"connection"}:
        raise Failed(f"the example in the docstring of `{task}` lacks the parameter `{min(missing)}`")


@check("contract", "driver")
async def removed_told(subject: Subject) -> None:
    """Without its driver a flow fails with a message that names the package and the command that installs it."""
    if not driver_modules(subject.prototype.get_dependencies()):
        raise Absent("it needs no package, or one that is not installed")
    sight = sight_of(subject)
    if sight.problem:
        raise Failed(sight.problem)
    if sight.failure is None:
        raise Failed("a flow opens it without its driver: what it needs stands in `get_dependencies()`, or not at all")
    told = " ".join([str(sight.failure["detail"]), *sight.failure["notes"], *sight.failure["cause"]])
    names = [each.name for each in dependencies(subject.prototype)]
    if sight.failure["type"] != "config" or not any(each in told for each in names) or "pip install" not in told:
        raise Failed(f"without the driver a flow fails with {sight.failure['type']}: {told}")
