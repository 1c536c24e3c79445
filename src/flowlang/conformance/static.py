"""Checks of what can be seen without opening anything."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flowlang.conformance.model import Absent, Failed, Unproven, check
from flowlang.conformance.offline import sight_of
from flowlang.conformance.subject import Subject
from flowlang.connections import _schema as reading
from flowlang.exceptions import PluginError

CPU_BUDGET = 0.5  # seconds of processor time that importing a plugin may take
# Words in the name of a field that make one think of a credential, beyond those that FlowLang knows as secret.
_SUSPECT = re.compile(r"(^|_)(pass|pw|pwd|passkey|pin|api_?key|key_?pair|license_key|sas|signature|jwt|otp)(_|$)", re.I)
_SUSPECT_DOC = re.compile(r"\b(password|secret|credential|access token|api key)\b", re.I)


def _properties(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return dict(reading.properties(schema, schema))


@check("contract")
async def schema_valid(subject: Subject) -> None:
    """The config schema is a valid JSON Schema (2020-12) of an object."""
    try:
        _ = subject.schema
    except PluginError as error:
        raise Failed(str(error)) from error


@check("quality")
async def schema_closed(subject: Subject) -> None:
    """The config schema refuses unknown keys, in nested objects too, so that a typo is found."""
    schema = subject.schema
    for where, each in _objects(schema, schema, "the config"):
        if not reading.is_closed(each, schema):
            raise Failed(f"{where} takes any key: say `additionalProperties: false`, or list the keys")


def _objects(part: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """`part` and each object below it that lists keys."""
    yield where, part
    for name, each in reading.properties(part, root).items():
        if reading.properties(each, root):
            yield from _objects(each, root, f"`{name}`")


@check("quality")
async def properties_described(subject: Subject) -> None:
    """Every setting has a type and a description, for the docs, editors and the scaffold."""
    schema = subject.schema
    for name, each in _properties(schema).items():
        if not reading.kinds(each, schema):
            raise Failed(f"`{name}` has no `type`")
        if not str(each.get("description", "")).strip():
            raise Failed(f"`{name}` has no `description`")


@check("quality")
async def properties_settled(subject: Subject) -> None:
    """Every number and truth value has a default, is required (perhaps one of several) or may be null: so it is known
    what holds when it is left out. A text that is left out is not there."""
    schema = subject.schema
    wanted = set(_ever_required(schema))
    if "url" in _properties(schema):
        wanted |= {"port", "database"}  # what is left out is said by the URL
    for name, each in _properties(schema).items():
        kinds = reading.kinds(each, schema)
        if not ("default" in each or name in wanted or kinds & {"null", "string"}):
            raise Failed(f"`{name}` has no `default` and is not required: what holds when it is left out?")


def _ever_required(part: object) -> Iterator[str]:
    """Each key that any `required` or `dependentRequired` of the schema names."""
    if isinstance(part, Mapping):
        listed = part.get("required")
        yield from listed if isinstance(listed, list) else ()
        for key, names in (part.get("dependentRequired") or {}).items():
            yield from (key, *names)
        for key, each in part.items():
            if key not in ("properties", "default", "examples"):
                yield from _ever_required(each)
    elif isinstance(part, list):
        for each in part:
            yield from _ever_required(each)


@check("contract")
async def defaults_fit(subject: Subject) -> None:
    """Each default satisfies the schema of its own setting."""
    from jsonschema_rs import Draft202012Validator

    schema = subject.schema
    for name, each in _properties(schema).items():
        if "default" not in each:
            continue
        rooted = {**each, "$defs": schema.get("$defs", {})}
        for error in Draft202012Validator(rooted).iter_errors(each["default"]):
            raise Failed(f"the default of `{name}` does not fit its own schema: {error.message}")


@check("contract")
async def secrets_marked(subject: Subject) -> None:
    """A setting that looks like a credential is secret by its name, or says `writeOnly`."""
    schema = subject.schema
    for name, each in _properties(schema).items():
        if reading.is_secret(name, each, schema) or not reading.kinds(each, schema) & {"string"}:
            continue
        named = _SUSPECT.search(name) or reading.is_secret(name, {"type": "string"})
        told = _SUSPECT_DOC.match(str(each.get("description", "")))
        if (named or told) and each.get("writeOnly") is not False or named and each.get("writeOnly") is False:
            raise Failed(f"`{name}` looks like a credential and is shown in the clear: say `writeOnly: true`")


@check("contract")
async def metadata_complete(subject: Subject) -> None:
    """Name, description and version are there, and the version is one that can be compared (PEP 440)."""
    from packaging.version import InvalidVersion, Version

    if not subject.plugin.description.strip():
        raise Failed("`description` is empty")
    try:
        Version(subject.plugin.version)
    except InvalidVersion as error:
        raise Failed(f"`version` {subject.plugin.version!r} cannot be compared: write it as 1.2.3") from error


# ---------------------------------------------------------------- tasks


@check("contract")
async def parameters_match(subject: Subject) -> None:
    """What the docstring of a task says of parameters is so: each one it names exists, and all can be given by name."""
    from flowlang.tasks import docstring
    from flowlang.tasks.signature import INJECTED, innermost

    functions = subject.prototype.get_builtin_tasks()
    for name, spec in _specs(subject).items():
        named = docstring.read(inspect.getdoc(innermost(functions[name]))).arguments
        there = {each.name for each in spec.parameters} | INJECTED
        for each in named:
            if each not in there and not spec.extra:
                raise Failed(f"the docstring of task `{name}` names a parameter `{each}`, which it does not have")


def _specs(subject: Subject) -> Mapping[str, Any]:
    try:
        return subject.specs
    except PluginError as error:
        raise Failed(str(error)) from error


@check("quality")
async def parameters_described(subject: Subject) -> None:
    """Every parameter of a task has a type hint and a description."""
    for name, spec in _specs(subject).items():
        for each in spec.parameters:
            if not each.description:
                raise Failed(f"parameter `{each.name}` of task `{name}` has no description: add it under `Args:`")
    for name, function in subject.prototype.get_builtin_tasks().items():
        for each in inspect.signature(function).parameters.values():
            if each.annotation is each.empty and each.name not in ("connection", "context"):
                raise Failed(f"parameter `{each.name}` of task `{name}` has no type hint")


@check("quality")
async def outputs_declared(subject: Subject) -> None:
    """Every task declares its outputs by a `TypedDict` as its return type, so that a flow is checked against them."""
    for name, spec in _specs(subject).items():
        if spec.outputs is None:
            raise Failed(f"task `{name}` does not declare its outputs: return a `TypedDict`")


@check("contract")
async def task_names(subject: Subject) -> None:
    """The names of tasks begin with the type or the declared `task_prefix`, and no other installed plugin has them."""
    from flowlang.connections import plugin_registry

    plugin = subject.prototype
    own = plugin.name.replace("-", "_")
    prefixes = tuple(f"{each}_" for each in (own, plugin.task_prefix) if each)
    tasks = plugin.get_builtin_tasks()
    for each in tasks:
        if not each.startswith(prefixes):
            raise Failed(f"task `{each}` does not begin with `{prefixes[0]}`: set `task_prefix`, or rename it")
    for other in plugin_registry.all().values():
        if other.name != plugin.name and (shared := sorted(set(tasks) & set(other.get_builtin_tasks()))):
            raise Failed(f"task `{shared[0]}` is also one of the plugin `{other.name}`")


@check("quality")
async def effects_stated(subject: Subject) -> None:
    """Every task states its effect by `@task(effect=…)`, and one that writes whether it may be repeated."""
    for name, spec in _specs(subject).items():
        if spec.effect is None:
            raise Failed(f'task `{name}` does not state its effect: `@task(effect="read")` and the like')
        if spec.effect == "write" and spec.idempotent is None:
            raise Failed(f"task `{name}` writes and does not state whether it is `idempotent`")


# ---------------------------------------------------------------- the package


@check("contract")
async def import_offline(subject: Subject) -> None:
    """Listing and describing it need neither the driver nor a network: the driver is imported inside functions."""
    if problem := sight_of(subject).problem:
        raise Failed(problem)


@check("contract")
async def import_quiet(subject: Subject) -> None:
    """Importing it opens nothing, starts nothing, writes nothing and prints nothing."""
    sight = sight_of(subject)
    if sight.problem:
        raise Failed(sight.problem)
    if sight.deeds:
        raise Failed(f"when it is imported {' and '.join(sorted(set(sight.deeds)))}")


@check("quality")
async def import_quick(subject: Subject) -> None:
    """Importing it takes less than half a second of processor time."""
    sight = sight_of(subject)
    if sight.cpu > CPU_BUDGET:
        raise Failed(f"importing it takes {sight.cpu:.1f} s of processor time: import heavy packages inside functions")


@check("contract")
async def entry_point(subject: Subject) -> None:
    """The entry point of its package leads to this very class, under its own name."""
    found = list(_entry_points(subject))
    if not found:
        raise Absent("no installed package names it by an entry point")
    for _, each in found:
        if each.name != subject.plugin.name:
            raise Failed(f"the entry point is called `{each.name}`, the plugin `{subject.plugin.name}`")
        loaded = each.load()
        if (loaded if isinstance(loaded, type) else type(loaded)) is not subject.plugin:
            raise Failed(f"the entry point `{each.value}` leads to {loaded!r}")


@check("contract")
async def requires_flowlang(subject: Subject) -> None:
    """Its package states which versions of FlowLang it works with, and this is one of them."""
    from importlib.metadata import version

    from packaging.requirements import Requirement

    here = version("flowlang")
    found = list(_entry_points(subject))
    if not found:
        raise Absent("no installed package names it by an entry point")
    for distribution, _ in found:
        wanted = [Requirement(each) for each in distribution.requires or ()]
        own = [each for each in wanted if each.name == "flowlang" and each.specifier]
        if not own:
            raise Failed(f"the package does not say which flowlang it needs: add `flowlang>={here}`")
        if not own[0].specifier.contains(here, prereleases=True):
            raise Failed(f"the package wants {own[0]}, this is {here}")


def _entry_points(subject: Subject) -> Iterator[tuple[Any, Any]]:
    """The distributions and entry points of our group that name the plugin's module or a package around it."""
    from importlib import metadata

    from flowlang.connections._discovery import GROUP

    module = subject.plugin.__module__
    for distribution in metadata.distributions():
        for each in distribution.entry_points:
            named = each.value.partition(":")[0]
            leads = module == named or module.startswith(f"{named}.")
            if each.group == GROUP and leads and (each.attr in ("", None, subject.plugin.__qualname__)):
                yield distribution, each


@check("contract")
async def dependencies_valid(subject: Subject) -> None:
    """What it needs is stated as PEP 508 requirements: `package>=1.0`."""
    from flowlang.connections.dependencies import dependencies

    for each in dependencies(subject.prototype):
        if each.reason.startswith("not a PEP 508"):
            raise Failed(f"{each.requirement!r}: {each.reason}")


@check("quality")
async def dependencies_bounded(subject: Subject) -> None:
    """Each package it needs is stated with the lowest version that works, and what is installed is such a one."""
    from flowlang.connections.dependencies import dependencies

    found = dependencies(subject.prototype)
    if not found:
        raise Absent("it needs no package")
    for each in found:
        if not re.search(r">=|==|~=|>", each.requirement):
            raise Failed(f"{each.requirement!r} has no lowest version: `{each.name}>=…`")
        if not each.satisfied:
            raise Unproven(f"{each.requirement}: {each.reason}")
