"""The connections of one run: one fresh plugin instance per named connection, opened, leased and closed once.

    ConnectionSlot (a name in the flow)  ── live ──▶  Live (an opened instance, its bound tasks, its leases)

A slot outlives its `Live`: when a single client breaks, the next lease opens a fresh instance. The broken one is
closed when the last of its leases is back. Where runs share connections a slot borrows the `Live` of a slot that
belongs to no run (see `pools`); whoever opened an instance, its `owner`, closes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flowlang.connections._live import Lender, Live
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.dependencies import refuse_misfits

if TYPE_CHECKING:
    from flowlang.connections.endpoints import Whereabouts

__all__ = ["CLOSE_TIMEOUT", "RELEASE_TIMEOUT", "ConnectionSlot", "Lender", "Live", "Opener", "uninterrupted"]

CLOSE_TIMEOUT = 10.0  # seconds for one `disconnect()`
RELEASE_TIMEOUT = 10.0  # seconds; giving a lease back may not hold a run up for longer
_LOG = logging.getLogger("flowlang.connections")
T = TypeVar("T")


class Opener(Protocol):
    """Opens a slot that is not open; `once` forbids retries, because whoever asks has its own."""

    def __call__(self, slot: ConnectionSlot, *, once: bool = False, alone: bool = False) -> Awaitable[Live]: ...


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end, whatever happens to this task; a cancellation that came meanwhile goes on afterwards."""
    task = asyncio.ensure_future(work)
    interrupted = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            interrupted = True
    if interrupted:
        if not task.cancelled():
            task.exception()  # seen; the cancellation says more
        raise asyncio.CancelledError
    return task.result()


async def _open_plainly(slot: ConnectionSlot, *, once: bool = False, alone: bool = False) -> Live:
    return await slot.open(alone=alone)


class ConnectionSlot:
    """One named connection of one run.

    `config` is ready to be handed to `connect()`. `report(name, type, problem)` hears of an instance that was
    closed. `describe` makes a text fit to be shown. `lender`: who has the instance, when runs share it; `alone` is then
    one of the slot's own, for steps that must not wait for other runs. `holders` are the fibers, by identity, that keep
    a lease while further steps work, with the instance it is of.
    """

    def __init__(
        self,
        name: str,
        prototype: ConnectionPlugin,
        config: Mapping[str, Any],
        *,
        lazy: bool = False,
        connect_timeout: float = 30.0,
        acquire_timeout: float = 30.0,
        report: Callable[[str, str, str | None], None] | None = None,
        describe: Callable[[str], str] = str,
        lender: Lender | None = None,
        holders: list[tuple[int, Live]] | None = None,
    ) -> None:
        self.name = name
        self.type = prototype.name
        self.lazy = lazy
        self.connect_timeout = connect_timeout
        self.acquire_timeout = acquire_timeout
        self.live: Live | None = None
        self.alone: Live | None = None
        self.keeping: Live | None = None  # the instance whose database is known to have the table of `exactly_once`
        self.lock = asyncio.Lock()
        self.holders: list[tuple[int, Live]] = [] if holders is None else holders
        self.opener: Opener = _open_plainly  # the engine adds retries
        self._prototype = prototype
        self._config = config
        self._report = report
        self.describe = describe
        self._lender = lender
        self._whereabouts: Whereabouts | None = None
        self._retired: list[Live] = []

    @property
    def plugin(self) -> ConnectionPlugin:
        """The opened instance, or while there is none the registered one, which knows the same of errors."""
        return self.live.plugin if self.live is not None else self._prototype

    @property
    def fingerprint(self) -> str:
        """The same text for every connection of the same type with the same config, and for no other. It tells nothing
        of what is in the config, and means nothing outside this process."""
        from flowlang.connections._fingerprint import fingerprint

        kind = type(self._prototype)
        return fingerprint(f"{kind.__module__}.{kind.__qualname__} {self._prototype.version}", self._config)

    @property
    def sharing_key(self) -> Hashable:
        """Slots with the same key may share an instance."""
        return type(self._prototype), self.connect_timeout, self.fingerprint

    def shared(self, describe: Callable[[str], str]) -> ConnectionSlot:
        """A slot for the same connection that belongs to no run."""
        return ConnectionSlot(
            self.name, self._prototype, self._config, connect_timeout=self.connect_timeout, describe=describe
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret texts of the config."""
        from flowlang.connections.config import schema_of, secret_texts

        return tuple(secret_texts(schema_of(self._prototype), self._config))

    @property
    def whereabouts(self) -> Whereabouts:
        """Where it leads, as its config says, for those who watch. A plugin that cannot tell says nothing."""
        if self._whereabouts is None:
            from flowlang.connections.endpoints import Whereabouts, whereabouts

            try:
                self._whereabouts = whereabouts(self._prototype.endpoints(dict(self._config)), self._config)
                if self.describe(""):  # even of nothing there is nothing to be shown: a secret is too short to be found
                    self._whereabouts = Whereabouts()
            except Exception as error:  # noqa: BLE001 - foreign code; nothing but what is shown depends on it
                self._whereabouts = Whereabouts()
                self.trouble("nobody knows where it leads", error)
        return self._whereabouts

    # ------------------------------------------------------------ opening and closing

    async def open(self, *, alone: bool = False) -> Live:
        """Open a fresh instance, once: one attempt, under the connection's own limit. Where runs share it, have the one
        that is open already; `alone` is one that no other run has.

        A `connect()` that fails or is cancelled half-way is followed by `disconnect()`, so nothing stays open. A driver
        in a version that the plugin does not take is refused before.
        """
        if self._lender is None:
            self.live = live = await self._opened()
        elif alone:
            self.alone = live = await self._opened()
        else:
            self.live = live = await self._lender.lend(self)
        return live

    async def _opened(self) -> Live:
        from copy import deepcopy

        plugin = type(self._prototype)()
        refuse_misfits(plugin)
        limit = asyncio.timeout(self.connect_timeout)
        try:
            async with limit:
                client = await plugin.connect(deepcopy(dict(self._config)))
            return Live(plugin, client, self)
        except GeneratorExit:
            raise  # the event loop is gone: nothing can be awaited any more
        except BaseException as error:
            await uninterrupted(self._disconnect(plugin))
            if isinstance(error, TimeoutError) and limit.expired():
                raise TimeoutError(f"no connection within {self.connect_timeout:g} s") from error.__cause__
            raise

    async def close(self) -> None:
        """Close whatever is open, and give back what is borrowed. It never raises for a plugin's trouble; that is
        reported."""
        left, self._retired = self._retired, []
        lent = self._lender is not None and self.live is not None
        left += [live for live in (self.alone, self.live) if live is not None and live.owner is self]
        self.alone = self.live = None
        for live in left:
            for slot in live.borrowers:
                slot.live = None
            await self._closed(live.plugin)
        if self._lender is not None:
            await self._lender.take_back(self)
        if lent and self._report is not None:
            self._report(self.name, self.type, None)

    async def _closed(self, plugin: ConnectionPlugin) -> None:
        problem = await self._disconnect(plugin)
        if self._report is not None:
            self._report(self.name, self.type, problem)

    async def _disconnect(self, plugin: ConnectionPlugin) -> str | None:
        """`disconnect()` once, under its own limit. Returns what went wrong, in words."""
        problem = await self._tried(CLOSE_TIMEOUT, plugin.disconnect)
        if problem is not None:
            self._warn("closing", problem)
        return problem

    # ------------------------------------------------------------ leases

    def acquire_limit(self, timeout: float) -> float:
        """Seconds to wait for a lease, when the step itself may take `timeout` (0: as long as it likes)."""
        return timeout if 0.0 < timeout < self.acquire_timeout else self.acquire_timeout

    async def give_back(self, live: Live, connection: Any, *, broken: bool) -> None:
        """Return a lease: discarded when the handle may be broken, else released. It is seen through to its end,
        also when the task that asks is cancelled meanwhile, and raises for nothing else."""
        live.leases -= 1
        await uninterrupted(live.owner._returned(live, connection, broken=broken))  # noqa: SLF001 - of the same class

    async def drop(self, live: Live, connection: Any) -> None:
        """A release did not come to its end, so nobody knows the state of the handle. The lease is counted back."""
        await uninterrupted(live.owner._dropped(live, connection))  # noqa: SLF001 - of the same class

    async def _sweep(self) -> None:
        """Close the retired instances whose last lease is back."""
        for live in [each for each in self._retired if each.leases <= 0]:
            self._retired.remove(live)
            await self._closed(live.plugin)

    async def _returned(self, live: Live, connection: Any, *, broken: bool) -> None:
        problem = await self._tried(RELEASE_TIMEOUT, live.discard if broken else live.release, connection)
        if problem is not None:
            self._warn("a lease could not be given back", problem)
        if problem is not None and not broken:
            await self._dropped(live, connection)
        elif broken:
            self._retire(live, connection)
        await self._sweep()

    async def _dropped(self, live: Live, connection: Any) -> None:
        if live.discards:
            problem = await self._tried(RELEASE_TIMEOUT, live.discard, connection)
            if problem is not None:
                self._warn("a lease could not be discarded", problem)
        self._retire(live, connection)
        await self._sweep()

    def _retire(self, live: Live, connection: Any) -> None:
        """A handle of `live` was found broken. A single client is replaced on the next lease; a pool looks after
        its own handles."""
        if connection is not live.client or (self.live is not live and self.alone is not live):
            return
        for slot in (self, *live.borrowers):
            slot.live = None if slot.live is live else slot.live
            slot.alone = None if slot.alone is live else slot.alone
        self._retired.append(live)
        live.release = self._releasing_last(live)

    def _releasing_last(self, live: Live) -> Callable[[Any], Awaitable[None]]:
        """The release of a retired instance: the last one closes it."""
        plainly = live.release

        async def release(connection: Any) -> None:
            try:
                await plainly(connection)
            finally:
                await uninterrupted(self._sweep())

        return release

    # ------------------------------------------------------------ trouble

    async def _tried(self, limit: float, action: Callable[..., Awaitable[None]], *args: Any) -> str | None:
        """Await one of the plugin's acts of tidying up. Returns what went wrong, in words; a plugin's defect there
        must not become the run's."""
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                await action(*args)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return self._told(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code; told, and never hiding the run's own end
            if timer.expired():
                return f"it took longer than {limit:g} s and was given up"
            return self._told(error)
        return None

    def trouble(self, what: str, error: BaseException) -> None:
        """Something went wrong beside the flow's own business: it is logged, masked, and the run goes on."""
        self._warn(what, self._told(error))

    def _told(self, error: BaseException) -> str:
        return self.describe(f"{type(error).__name__}: {error}")

    def _warn(self, what: str, problem: str) -> None:
        _LOG.warning("connection %s (%s): %s: %s", self.name, self.type, what, problem)

    def exhausted(self, live: Live | None, waited: float) -> tuple[str, ...]:
        """What to say when no lease came within `waited` seconds."""
        out = live.leases if live is not None else 0
        note = f"no handle of `{self.name}` came free within {waited:g} s; {out} in use: the pool is exhausted"
        return (note, "raise the pool's size, or `acquire_timeout`, or run fewer steps at once")
