"""`TypedPlugin`: the short way to write a plugin. Settings are a dataclass, opening is a context manager, tasks are
typed methods; the members of `ConnectionPlugin` follow from them.

    @dataclass(frozen=True)
    class Config:
        api_key: Annotated[Secret[str], "Key of the API"]
        timeout: Annotated[float, "Seconds for a request", Ge(1)] = 30.0

    class Item(TypedDict):
        data: dict[str, Any]

    class MyServicePlugin(TypedPlugin[Config]):
        '''MyService API connection'''

        name = "myservice"
        version = "1.0.0"
        requires = ("myservice-client>=1.0.0",)

        @asynccontextmanager
        async def open(self, config: Config) -> AsyncIterator[Client]:
            async with Client(config.api_key, timeout=config.timeout) as client:
                await client.ping()
                yield client

        @task(effect="read")
        async def get(self, resource_id: str, connection: Client) -> Item:
            '''Fetch one resource.'''
            return {"data": await connection.get(resource_id)}

It adds to the contract and takes nothing away: any member may still be written by hand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from copy import deepcopy
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from flowlang.connections._held import Held
from flowlang.connections._typed_config import build, hide_secrets, schema_of_config
from flowlang.connections._typed_marks import Ge, Gt, Le, Lt, MaxLen, MinLen, Pattern
from flowlang.connections._typed_tasks import methods_of
from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import ConnectionError, PluginError
from flowlang.tasks.decorator import task
from flowlang.tasks.values import Secret

C = TypeVar("C")


class TypedPlugin(ConnectionPlugin, Generic[C]):
    """A connection type whose settings are the dataclass `C`. Write `open()`, and tasks under `@task`.

    `description` is the first line of the class's docstring unless it is set. A task is called by the prefix and the
    name of its method: `myservice_get`. What is wrong is a `PluginError` when the class is made.
    """

    requires: ClassVar[Sequence[str]] = ()
    """The distributions it needs, as PEP 508 strings."""

    _config: ClassVar[Any] = None
    _schema: ClassVar[dict[str, Any]] = {}
    _methods: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        owner = f"plugin {cls.__qualname__}"
        config = _config_of(cls, owner)
        if config is None or not cls.name:
            return  # a base of several plugins
        if config is not cls._config:
            cls._config, cls._schema = config, schema_of_config(config, owner)
            hide_secrets(config, cls._schema)
        cls._methods = methods_of(cls, TypedPlugin, owner)
        cls.description = cls.description or _first_line(cls.__doc__)
        if cls.open is TypedPlugin.open and cls.connect is TypedPlugin.connect:
            raise PluginError(
                f"{owner} does not define `open(self, config)`, an `@asynccontextmanager` around its client"
            )

    def __init__(self) -> None:
        super().__init__()
        self._held: Held[Any] | None = None
        self._leases: list[tuple[Any, AbstractAsyncContextManager[Any]]] = []

    # ------------------------------------------------------------ to be written

    def open(self, config: C) -> AbstractAsyncContextManager[Any]:
        """Open the service and give its client, or a pool; close it when the block is left.

        One task enters and leaves it, so task groups and time limits may span the `yield`. Check here that the
        service answers: an error means that the connection could not be opened.
        """
        raise NotImplementedError(f"plugin {type(self).__qualname__} does not define open()")

    def lease(self, client: Any) -> AbstractAsyncContextManager[Any]:
        """A handle for one attempt of one task, when that is not the client itself: `async with client.acquire()`.

        When the handle may be broken the block is left with an exception. `open()` sets `self.capacity` to the number
        of handles, where it is bounded.
        """
        raise NotImplementedError(f"plugin {type(self).__qualname__} does not define lease()")

    # ------------------------------------------------------------ the guide's members

    def get_config_schema(self) -> dict[str, Any]:
        return deepcopy(self._schema)

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        """As the schema, and then the dataclass's `__post_init__`, which refuses by raising `ValueError`."""
        fits, reason = super().validate_config(config)
        if not fits:
            return fits, reason
        try:
            self.settings_of(config)
        except ValueError as error:
            return False, str(error)
        return True, None

    def settings_of(self, config: dict[str, Any]) -> C:
        """The dataclass of a checked config."""
        made: C = build(self._config, config)
        return made

    async def connect(self, config: dict[str, Any]) -> Any:
        self._held = held = Held(self.open(self.settings_of(config)))
        return await held.enter()

    async def disconnect(self) -> None:
        held, self._held = self._held, None
        self._leases.clear()
        if held is not None:
            await held.leave()

    async def get_connection(self) -> Any:
        if self._held is None:
            raise ConnectionError(f"the {self.name} connection is not open")
        client = self._held.value
        if type(self).lease is TypedPlugin.lease:
            return client
        manager = self.lease(client)
        handle = await manager.__aenter__()
        self._leases.append((handle, manager))
        return handle

    async def release_connection(self, connection: Any) -> None:
        if (manager := self._lease_of(connection)) is not None:
            await manager.__aexit__(None, None, None)

    async def discard_connection(self, connection: Any) -> None:
        if (manager := self._lease_of(connection)) is not None:
            broken = ConnectionError("the handle may be broken")
            try:
                await manager.__aexit__(type(broken), broken, None)
            except ConnectionError as error:
                if error is not broken:
                    raise

    def _lease_of(self, handle: Any) -> AbstractAsyncContextManager[Any] | None:
        index = next((index for index, (each, _) in enumerate(self._leases) if each is handle), None)
        return None if index is None else self._leases.pop(index)[1]

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        return {name: getattr(self, method) for name, method in self._methods.items()}

    def get_dependencies(self) -> list[str]:
        return list(self.requires)


def _config_of(kind: type, owner: str) -> Any:
    """The dataclass in `TypedPlugin[Config]`; None for a class that leaves it open."""
    for each in kind.__mro__:
        for base in vars(each).get("__orig_bases__", ()):
            origin = get_origin(base)
            if not isinstance(origin, type) or not issubclass(origin, TypedPlugin):
                continue
            (config,) = get_args(base)
            if isinstance(config, TypeVar):
                continue
            if not isinstance(config, type) or not dataclasses.is_dataclass(config):
                shown = getattr(config, "__name__", None) or getattr(config, "__forward_arg__", config)
                raise PluginError(f"{owner}: `{shown}` in its brackets must be a dataclass that stands above it")
            return config
    if kind.__mro__[1] is TypedPlugin:
        raise PluginError(f"{owner} does not name its settings: `class {kind.__name__}(TypedPlugin[Config])`")
    return None


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0].rstrip(".")


__all__ = ["Ge", "Gt", "Le", "Lt", "MaxLen", "MinLen", "Pattern", "Secret", "TypedPlugin", "task"]
