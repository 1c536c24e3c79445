"""The plugin under examination with all that a check does to it: opened directly, or used by a flow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from flowlang.conformance import example as examples
from flowlang.conformance.addresses import Address, address_of
from flowlang.conformance.calls import Call, Operations, Steps
from flowlang.conformance.model import Absent, Failed, Unproven
from flowlang.conformance.proxy import HOST, Proxy
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.config import prepare, schema_of
from flowlang.connections.errors import Phase
from flowlang.connections.registry import PluginRegistry
from flowlang.events import Event
from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.engine.result import RunResult
    from flowlang.tasks.spec import TaskSpec

OPEN_LIMIT = 10.0  # seconds that opening may take
NAME = "subject"  # of the connection in the kit's own flows
Config = Mapping[str, Any]
LeaseHook = Callable[[ConnectionPlugin], Awaitable[None]]


@frozen
class Ran:
    """A run of a flow: how it ended, and every event in order."""

    result: RunResult
    events: tuple[Event, ...]


class Opened:
    """An opened instance. `client` is what `connect()` gave."""

    def __init__(self, plugin: ConnectionPlugin, client: Any, specs: Mapping[str, TaskSpec]) -> None:
        self.plugin = plugin
        self.client = client
        self._specs = specs
        self._tasks = plugin.get_builtin_tasks()

    @asynccontextmanager
    async def leased(self, *, broken: bool = False) -> AsyncIterator[Any]:
        """A handle, given back as a run does it: discarded after anything but an ordinary error, or when `broken`."""
        handle = await self.plugin.get_connection()
        try:
            yield handle
        except BaseException as error:
            give_back = self.plugin.release_connection
            if broken or not isinstance(error, Exception):
                give_back = self.plugin.discard_connection
            await give_back(handle)
            raise
        await (self.plugin.discard_connection if broken else self.plugin.release_connection)(handle)

    async def on(self, handle: Any, made: Call) -> Any:
        """Make a call on a handle: its outputs, or the list of its batches when it streams."""
        spec = self._specs[made.task]
        injected = {"connection": handle} if "connection" in spec.injects else {}
        answer = self._tasks[made.task](**made.arguments, **injected)
        return [batch async for batch in answer] if spec.streams else await answer

    def batches(self, handle: Any, made: Call) -> Any:
        """The async generator of a call that streams."""
        return self._tasks[made.task](**made.arguments, connection=handle)

    async def call(self, made: Call) -> Any:
        """Make a call on a lease of its own."""
        async with self.leased() as handle:
            return await self.on(handle, made)


class Subject:
    """A plugin class with a config that works, and what its author stated about it."""

    def __init__(self, plugin: type[ConnectionPlugin], config: Config, operations: Operations | None = None) -> None:
        self.plugin = plugin
        self.config = dict(config)
        self.operations = operations or Operations()
        self.side_links = 0
        """Links to the service that a plugin keeps beside those of its pool, such as a monitor's."""
        self.wrong_config: Config = {}
        """Settings that make opening fail, for plugins that are not reached over a network."""
        self.other_config: Config = {}
        """Settings that lead to another place of the same service."""
        self.tls_config: Config | Callable[[Subject], Config] = {}
        """Settings that make the plugin ask for an encrypted link."""
        self.registry = PluginRegistry(discover=False)
        self.registry.register(plugin)
        self._recorded: tuple[Call, ...] | None = None

    # ------------------------------------------------------------ what it is

    @property
    def prototype(self) -> ConnectionPlugin:
        return self.plugin()

    @property
    def schema(self) -> dict[str, Any]:
        return schema_of(self.prototype)

    @property
    def specs(self) -> Mapping[str, TaskSpec]:
        return self.registry.tasks(self.plugin.name)

    def variant(self, **members: Any) -> Subject:
        """The same subject with a subclass in the plugin's place: for checks that watch or disturb a member."""
        inherited = {"__module__": self.plugin.__module__, "__qualname__": self.plugin.__qualname__}
        kind = type(self.plugin.__name__, (self.plugin,), {**inherited, **members})
        found = Subject(kind, self.config, self.operations)
        found.__dict__.update({key: each for key, each in vars(self).items() if key not in ("plugin", "registry")})
        return found

    def watched(self) -> tuple[Subject, list[dict[str, Any]]]:
        """A variant that notes each config that reaches `connect()`."""
        seen: list[dict[str, Any]] = []
        connect = self.plugin.connect

        async def noting(plugin: ConnectionPlugin, config: dict[str, Any]) -> Any:
            seen.append(deepcopy(config))
            return await connect(plugin, config)

        return self.variant(connect=noting), seen

    def leasing(self, before: LeaseHook | None = None, after: LeaseHook | None = None) -> Subject:
        """A variant that awaits a hook around each lease that a step takes once the connection is open."""
        connect, get_connection = self.plugin.connect, self.plugin.get_connection
        opened: list[ConnectionPlugin] = []

        async def connecting(plugin: ConnectionPlugin, config: dict[str, Any]) -> Any:
            client = await connect(plugin, config)
            opened.append(plugin)
            return client

        async def getting(plugin: ConnectionPlugin) -> Any:
            if before is not None and plugin in opened:
                await before(plugin)
            handle = await get_connection(plugin)
            if after is not None and plugin in opened:
                await after(plugin)
            return handle

        return self.variant(connect=connecting, get_connection=getting)

    # ------------------------------------------------------------ opened directly

    def ready(self, config: Config | None = None) -> dict[str, Any]:
        """`config` as `connect()` is given it."""
        prepared = prepare(self.prototype, self.config if config is None else config)
        if prepared.problems:
            raise Failed(f"the config is refused: {'; '.join(each.message for each in prepared.problems)}")
        return prepared.config

    @asynccontextmanager
    async def opened(self, config: Config | None = None) -> AsyncIterator[Opened]:
        """An instance, opened as a run does it and closed after the block."""
        plugin = self.plugin()
        try:
            async with asyncio.timeout(OPEN_LIMIT):
                client = await plugin.connect(self.ready(config))
            yield Opened(plugin, client, self.specs)
        finally:
            await plugin.disconnect()

    async def failure_of_use(self, config: Config) -> tuple[BaseException | None, Phase]:
        """What opening with `config`, and then a call, raises, and which of them did; None when both succeed."""
        call = await self.reading() if self.specs else None
        phase: Phase = "connect"
        try:
            async with self.opened(config) as opened:
                phase = "task"
                if call is not None:
                    await opened.call(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the check looks at
            return error, phase
        return None, phase

    async def failure_of_opening(self, config: Config) -> BaseException | None:
        """What opening with `config` raises; None when it opens. Closed either way."""
        try:
            async with self.opened(config):
                return None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the check looks at
            return error

    # ------------------------------------------------------------ over the network

    @property
    def address(self) -> Address:
        found = address_of(self.ready())
        if found is None:
            raise Absent("its config names no address on a network")
        return found

    @contextmanager
    def wire(self) -> Iterator[tuple[Proxy, dict[str, Any]]]:
        """A proxy in front of the service, and the config that leads through it."""
        address = self.address
        with Proxy((address.host, address.port)) as proxy:
            yield proxy, address.moved(self.config, HOST, proxy.port)

    @asynccontextmanager
    async def through(self, **settings: Any) -> AsyncIterator[tuple[Proxy, Opened]]:
        """An opened instance whose links pass a proxy; `settings` go into its config. The service is prepared."""
        await self.calls()
        with self.wire() as (proxy, config):
            async with self.opened({**config, **settings}) as opened:
                yield proxy, opened

    # ------------------------------------------------------------ what is called

    async def calls(self) -> tuple[Call, ...]:
        """The calls of the example flow, run once against the service; with `operations.prepare`, those instead."""
        if self._recorded is None:
            made = self.operations
            if made.prepare or made.read or made.write:
                self._recorded = tuple(each for each in (*made.prepare, made.write, made.read) if each is not None)
                async with self.opened() as opened:
                    for each in made.prepare:
                        await opened.call(each)
            else:
                self._recorded = await examples.recorded(self)
        return self._recorded

    async def reading(self) -> Call:
        """A call to make again and again: the stated one, else the last of the example that reads, else the last."""
        made = await self.calls()
        if self.operations.read is not None:
            return self.operations.read
        plain = [each for each in made if not self.specs[each.task].streams]
        if not plain:
            raise Absent("it has no task that the example calls") if not self.specs else Unproven(NO_CALL)
        return next((each for each in reversed(plain) if self.specs[each.task].effect == "read"), plain[-1])

    async def writing(self) -> Call:
        """A call that changes something."""
        made = await self.calls()
        if self.operations.write is not None:
            return self.operations.write
        for each in made:
            if self.specs[each.task].effect not in ("read", "none") and not self.specs[each.task].streams:
                return each
        raise Absent("the example calls no task that writes") if made else Unproven(NO_CALL)

    def stated(self, name: str) -> Any:
        """One of the optional operations. Raises `Unproven` that names it when the author did not state it."""
        found = getattr(self.operations, name)
        if found is None:
            raise Unproven(f"state `{name}` in `operations` to prove this")
        return found

    # ------------------------------------------------------------ used by a flow

    async def flow(
        self, *calls: Call, config: Config | None = None, options: Config | None = None, **modifiers: Any
    ) -> Ran:
        """Run the calls as a flow, one step each, every step with `modifiers`; `options` are of the connection."""
        steps = Steps(NAME)
        for each in calls:
            steps.add(each, **modifiers)
        return await self.run(
            flow_text(self.plugin.name, self.config if config is None else config, steps, options), steps.inputs
        )

    async def run(self, text: str, inputs: Config | None = None, **options: Any) -> Ran:
        """Run a flow that knows this plugin alone."""
        from flowlang import api

        seen: list[Event] = []
        result = await api.run(text=text, inputs=inputs, registry=self.registry, on_event=seen.append, **options)
        return Ran(result, tuple(seen))


NO_CALL = "the example calls no task; state `read` and `write` in `operations`"


def flow_text(kind: str, config: Config, steps: Steps, options: Config | None = None) -> str:
    """A flow with one connection of type `kind` and `steps`."""
    import json

    from flowlang.tasks.jsontext import plain

    written = {"type": kind, **Steps(NAME).literal(config), **(options or {})}
    inputs = [{"name": each} for each in steps.inputs]
    return "\n".join(
        [
            "flow: conformance",
            f"connections: {json.dumps({NAME: written}, ensure_ascii=False, default=plain)}",
            f"inputs: {json.dumps(inputs)}",
            "steps:" if steps.lines else "steps: []",
            *steps.lines,
        ]
    )
