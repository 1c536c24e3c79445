"""What is known of connection types, as the records that `--json` prints and the views draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowlang.exceptions import PluginError

if TYPE_CHECKING:
    from flowlang.connections import PluginRecord
    from flowlang.connections.base import ConnectionPlugin

Record = dict[str, Any]


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
            **manners(record.plugin),
            "dependencies": dependency_records(record.plugin),
            "config": config_fields(record.plugin),
            "schema": record.plugin.get_config_schema(),
            "tasks": [task_record(each) for each in specs_of(record.plugin, record.source).values()],
        }
    except PluginError as error:
        return {**about, "problem": str(error), "dependencies": [], "config": [], "schema": None, "tasks": []}


def manners(plugin: ConnectionPlugin) -> Record:
    """What the file of a service says of asking it: `rate_limit` and `retry`, which holds for steps that set none, in
    flows whose `defaults` set none. Times are seconds. Nothing for other types."""
    service, found = getattr(plugin, "service", None), {}
    if service is not None and service.rate is not None:
        found["rate_limit"] = {"requests": service.rate.requests, "per": service.rate.per}
    if service is not None and service.retry is not None:
        keys = ("max_attempts", "delay", "backoff", "max_delay", "max_elapsed", "on", "unless")
        said = {key: getattr(service.retry, key) for key in keys}
        found["retry"] = {key: value for key, value in said.items() if value not in (None, ())}
    return found


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


def installed(record: PluginRecord) -> Record:
    """A line of `plugin list`: where it comes from, and what it lacks."""
    import sys

    needs = required(record)
    kind = type(record.plugin) if record.plugin is not None else None
    module = sys.modules.get(kind.__module__) if kind is not None else None
    lacking = [each["requirement"] for each in needs["dependencies"] if not each["satisfied"]]
    about = listed(record)
    return {
        **{key: about[key] for key in ("type", "version", "source", "entry_point", "problem")},
        "class": f"{kind.__module__}:{kind.__qualname__}" if kind is not None else None,
        "file": getattr(module, "__file__", None),
        "missing": lacking,
        "install": needs["install"] if lacking else None,
        "printed": record.printed,
    }


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
