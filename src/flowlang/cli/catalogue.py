"""What is known of connection types, as the records that `--json` prints and the views draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowlang.exceptions import PluginError

if TYPE_CHECKING:
    from flowlang.connections import PluginRecord
    from flowlang.connections.base import ConnectionPlugin

Record = dict[str, Any]


class Refused(click.ClickException):
    """What was asked for cannot be done with this type: exit code 2."""

    exit_code = 2


def found(name: str) -> PluginRecord:
    """The record of a type, or of the service in a file. Raises `Refused` with a suggestion when there is none."""
    from flowlang.services.project import here

    try:
        return here().info(name)
    except PluginError as error:
        raise Refused(str(error)) from error


def usable(name: str) -> ConnectionPlugin:
    """The prototype of a type that works. Raises `Refused` with the reason otherwise."""
    record = found(name)
    if record.plugin is None or record.problem is not None:
        raise Refused(f"connection type `{name}` ({record.source}) cannot be used: {record.problem}")
    return record.plugin


def listed(record: PluginRecord) -> Record:
    """A line of `connection list`."""
    plugin = record.plugin
    problem, tasks = record.problem, 0
    if plugin is not None:
        try:
            tasks = len(plugin.get_builtin_tasks())
        except Exception as error:  # noqa: BLE001 - a stranger's code; the listing goes on
            problem = problem or f"get_builtin_tasks() failed: {type(error).__name__}: {error}"
    return {
        "type": record.name,
        "version": str(plugin.version) if plugin is not None else None,
        "description": str(plugin.description) if plugin is not None else "",
        "category": str(plugin.category) if plugin is not None else None,
        "tasks": tasks,
        "source": record.source,
        "entry_point": record.entry_point,
        "problem": problem,
    }


def described(record: PluginRecord) -> Record:
    """Everything that `connection info` tells."""
    from flowlang.connections.registry import specs_of
    from flowlang.views.tasks import task_record

    about = listed(record)
    if record.plugin is None or about["problem"] is not None:
        return {**about, "dependencies": [], "config": [], "schema": None, "tasks": []}
    try:
        return {
            **about,
            "dependencies": dependency_records(record.plugin),
            "config": config_fields(record.plugin),
            "schema": record.plugin.get_config_schema(),
            "tasks": [task_record(each) for each in specs_of(record.plugin, record.source).values()],
        }
    except PluginError as error:
        return {**about, "problem": str(error), "dependencies": [], "config": [], "schema": None, "tasks": []}


def required(record: PluginRecord) -> Record:
    """What `connection deps` tells of one type."""
    from flowlang.connections.dependencies import advice

    problem, dependencies, install = record.problem, [], None
    if record.plugin is not None:
        try:
            dependencies, install = dependency_records(record.plugin), advice(record.plugin)
        except PluginError as error:
            problem = problem or str(error)
    return {"type": record.name, "dependencies": dependencies, "install": install, "problem": problem}


def dependency_records(plugin: ConnectionPlugin) -> list[Record]:
    from flowlang.connections.dependencies import dependencies

    return [
        {
            "requirement": each.requirement,
            "name": each.name,
            "installed": each.installed,
            "satisfied": each.satisfied,
            "reason": each.reason,
        }
        for each in dependencies(plugin)
    ]


def config_fields(plugin: ConnectionPlugin) -> list[Record]:
    """The settings of a type, one record for each property of its schema. Secret defaults are masked."""
    from flowlang.connections import _schema as reading
    from flowlang.connections.config import schema_of

    schema = schema_of(plugin)
    wanted = reading.required(schema, schema)
    fields: list[Record] = []
    for key, declared in reading.properties(schema, schema).items():
        secret = reading.is_secret(key, declared, schema)
        field: Record = {
            "key": key,
            "type": str(reading.type_of_schema(declared, schema)).split(" of ")[0],
            "required": key in wanted,
            "description": " ".join(str(declared.get("description", "")).split()),
            "secret": secret,
        }
        if "default" in declared:
            field["default"] = "***" if secret else declared["default"]
        field |= {each: declared[each] for each in ("enum", "minimum", "maximum", "pattern") if each in declared}
        fields.append(field)
    return fields
