"""What editors ask: the schema of a flow file here, and all that is known of a text while it is being written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flowlang.exceptions import PluginError

if TYPE_CHECKING:
    from flowlang.connections.registry import PluginRecord, PluginRegistry
    from flowlang.tasks.spec import TaskSpec
    from flowlang.views.schema import ConnectionType


def schema(registry: PluginRegistry | None = None, tasks: Iterable[TaskSpec] = ()) -> dict[str, Any]:
    """The JSON Schema of a flow file where the plugins of `registry` are installed; `tasks` are a flow's own."""
    from flowlang.checking.catalogue import file_tasks
    from flowlang.connections import plugin_registry
    from flowlang.views.schema import flow_schema

    registry = registry or plugin_registry
    types = [_type(each, registry) for each in registry.records()]
    return flow_schema(types, [*(each.spec for each in file_tasks().values()), *tasks])


def _type(record: PluginRecord, registry: PluginRegistry) -> ConnectionType:
    """A connection type; one that cannot be used is named, and nothing is said of its config."""
    from flowlang.connections import _schema
    from flowlang.connections.config import schema_of
    from flowlang.views.schema import ConnectionType

    if record.plugin is None or record.problem is not None:
        return ConnectionType(record.name, f"Cannot be used: {record.problem}", None, False)
    try:
        config, specs = schema_of(record.plugin), tuple(registry.tasks(record.name).values())
    except PluginError as error:
        return ConnectionType(record.name, f"Cannot be used: {error}", None, False)
    about = str(record.plugin.description)
    return ConnectionType(record.name, about, config, _schema.is_closed(config, config), specs)
