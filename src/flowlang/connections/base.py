"""`ConnectionPlugin`: what a connection type is. The public contract, with a working default for all that is optional.

A plugin names itself, describes its config as a JSON Schema, opens and closes, leases a handle for each task,
and brings tasks. The four members without a default are listed in `REQUIRED`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.errors import ErrorTable

REQUIRED = ("get_config_schema", "connect", "disconnect", "get_connection")


class ConnectionPlugin:
    """A type of connection. Subclass it, set `name`, `description` and `version`, and write the members of `REQUIRED`.

    The class needs no arguments to be made: each run makes an instance of its own for each named connection, so
    an instance may keep its client, pool and config on itself without regard to other runs.
    """

    name: str = ""
    """The type, as flows write it; also the name of the folder or entry point."""
    description: str = ""
    version: str = ""
    category: str = "other"
    """The shelf in listings: `database`, `cache`, `http`, …"""
    task_prefix: str | None = None
    """What the names of the tasks begin with when it is not the type: `pg` for `postgres`."""
    error_table: ErrorTable = MappingProxyType({})
    """Exception class, or its dotted name (so that no driver is imported), → error class. Or a method that takes
    the error and answers an error class, a `Classified`, or None. See `flowlang.connections.errors`."""
    shareable: bool = False
    """Whether several runs of one process may share an opened instance: a release resets the session."""
    capacity: int | None = None
    """How many handles can be leased at once, None when unlimited or unknown. `connect()` may set it."""

    def __init__(self) -> None:
        """Nothing is set up here; a plugin calls it and adds what it likes, without opening anything."""

    # ------------------------------------------------------------ required

    def get_config_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the connection's config: an object with `properties`.

        A property is secret when it says `"writeOnly": true`, or when its name says so (`api_key`, `password`, …)
        and it does not say `"writeOnly": false`.
        """
        raise NotImplementedError(_missing(self, "get_config_schema"))

    async def connect(self, config: dict[str, Any]) -> Any:
        """Open the connection and return its client or pool.

        `config` has been checked and holds the schema's defaults. Any error means that the connection could not
        be opened; `disconnect()` is called then too.
        """
        raise NotImplementedError(_missing(self, "connect"))

    async def disconnect(self) -> None:
        """Close everything that `connect()` opened, a half-opened connection too."""
        raise NotImplementedError(_missing(self, "disconnect"))

    async def get_connection(self) -> Any:
        """Lease a handle for one attempt of one task: the single client, or one of the pool."""
        raise NotImplementedError(_missing(self, "get_connection"))

    # ------------------------------------------------------------ configuration

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        """Whether `config` can be used, and if not, why. Called with checked values, before `connect()`."""
        from flowlang.connections.config import problems, schema_of

        found = problems(schema_of(self), config, plugin=self.name)
        return (False, "; ".join(each.message for each in found)) if found else (True, None)

    # ------------------------------------------------------------ handles

    async def release_connection(self, connection: Any) -> None:
        """Give back a handle after a task, whether it succeeded or failed. By default there is nothing to do."""

    async def discard_connection(self, connection: Any) -> None:
        """Give back a handle that may be broken (after a timeout, a cancellation, a lost link). By default: release."""
        await self.release_connection(connection)

    async def ping(self, connection: Any) -> None:
        """Raise when the service does not answer on this handle. By default it is taken at its word."""

    def error_code(self, error: BaseException) -> str | None:
        """What the service calls a failure, for those who watch: an SQLSTATE, the number of an error. It is asked of
        the error that was raised and of each of its causes; None for one that the service did not send. It tells
        nothing of data."""
        return None

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        """Where `connect()` would go with this config, for `flowlang connection test`, which tries these places before
        it opens the connection: `Server`, `Socket` and `File` of `flowlang.connections.endpoints`. Nothing is opened
        here. By default what the usual fields (`url`, `host` and `port`) name."""
        from flowlang.connections.endpoints import guessed

        return guessed(config)

    def transaction(self, connection: Any) -> AbstractAsyncContextManager[None]:
        """A transaction on a handle, for the steps of a `transaction` block: optional, and only for plugins whose
        handles do not see each other's.

        Entering begins it. Leaving without an exception has committed when it returns, or raises and has committed
        nothing; leaving with an exception (a cancellation too) rolls back and lets it through. On a handle that is in
        a transaction already it makes a savepoint.
        """
        raise NotImplementedError(_missing(self, "transaction"))

    # ------------------------------------------------------------ what it brings

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        """Task name → async function, or async generator function of batches.

        Names begin with the type or `task_prefix`.
        """
        return {}

    def get_triggers(self) -> list[Any]:
        """Triggers that start flows on what happens in the service."""
        return []

    def get_dependencies(self) -> list[str]:
        """The distributions it needs, as PEP 508 strings: `["myservice-client>=1.0.0"]`."""
        return []

    # ------------------------------------------------------------ scaffolding

    def scaffold_connection_config(self, name: str = "api", **kwargs: Any) -> str:
        """A snippet for a flow's `connections:`, made from the schema; secrets stand there as `${env.<TYPE>_<FIELD>}`.

        `kwargs` are values for the config. Raises `PluginError` for one that the schema does not know.
        """
        from flowlang.connections.scaffold import connection_config

        return connection_config(self, name, kwargs)

    def scaffold_example_flow(self, output_dir: str, connection_name: str = "api", **kwargs: Any) -> Any:
        """Write a whole flow that uses this type, and return its path.

        It is the `example.yaml` beside the plugin with the connection renamed; `kwargs` are values for its config.
        Raises `PluginError` when there is no such file, or the target exists.
        """
        from flowlang.connections.scaffold import example_flow

        return example_flow(self, output_dir, connection_name, kwargs)

    def scaffold_task_helpers(self, output_dir: str, connection_name: str = "api", **kwargs: Any) -> Any:
        """Write a Python module that calls each task of this type from Python, and return its path."""
        from flowlang.connections.scaffold import task_helpers

        return task_helpers(self, output_dir, connection_name)


def _missing(plugin: ConnectionPlugin, member: str) -> str:
    return f"plugin {type(plugin).__qualname__} does not define {member}()"


def transactional(kind: type[ConnectionPlugin]) -> bool:
    """Whether `kind` offers transactions. A task that happens to be called `transaction` is none."""
    member = getattr(kind, "transaction", None)
    return callable(member) and member is not ConnectionPlugin.transaction and not iscoroutinefunction(member)


def lacking(kind: type[ConnectionPlugin]) -> tuple[str, ...]:
    """The required members that `kind` does not define."""
    return tuple(each for each in REQUIRED if getattr(kind, each, None) is getattr(ConnectionPlugin, each))
