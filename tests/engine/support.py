"""What the engine's tests stand on: a pretend service that keeps a log, a clock that jumps, and a few tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import flowlang
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.registry import PluginRegistry
from flowlang.engine.clock import Clock
from flowlang.engine.result import RunResult
from flowlang.events import Event
from flowlang.exceptions import FlowExecutionError

FOREVER = 3600.0


class JumpingClock(Clock):
    """Time passes only while somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:  # type: ignore[override]
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)

    def random(self) -> float:
        return 0.5


class Service:
    """A pretend service. `log` is what it was asked to do, `leased` and `open` what is out and open right now.

    `hooks[what]` is awaited at `connect`, `get`, `release`, `discard`, `disconnect`, `begin`, `commit` and `rollback`,
    with the number of the instance. `crossed` are handles with two operations at once.
    `single`: every lease is the one client. `capacity`: handles of a pool; more wait. `shareable`: so is its plugin.
    """

    def __init__(
        self, name: str = "fake", *, capacity: int | None = None, single: bool = False, shareable: bool = False
    ) -> None:
        self.name = name
        self.capacity = capacity
        self.single = single
        self.shareable = shareable
        self.log: list[str] = []
        self.open: list[int] = []
        self.leased: list[Any] = []
        self.seen: list[Any] = []
        self.twice: list[Any] = []  # handles that were given back though nobody had them
        self.used: list[Any] = []
        self.crossed: list[Any] = []
        self.hooks: dict[str, Callable[[int], Awaitable[None]]] = {}
        self.instances = 0
        self.handles = 0

    def count(self, what: str) -> int:
        return sum(each.split(" ")[0] == what for each in self.log)

    async def at(self, what: str, number: int) -> None:
        await asyncio.sleep(0)
        hook = self.hooks.get(what)
        if hook is not None:
            await hook(number)

    @asynccontextmanager
    async def use(self, handle: Any) -> AsyncIterator[None]:
        """An operation on a handle takes a few turns of the loop."""
        if handle in self.used:
            self.crossed.append(handle)
        self.used.append(handle)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            yield
        finally:
            self.used.remove(handle)

    def clean(self) -> bool:
        """Nothing is out, nothing is open, nothing came back twice."""
        return not (self.leased or self.open or self.twice)

    def plugin(self) -> type[ConnectionPlugin]:
        service = self

        class Fake(ConnectionPlugin):
            name = service.name
            description = "pretends"
            version = "1.0.0"
            shareable = service.shareable

            def __init__(self) -> None:
                super().__init__()
                self.capacity = service.capacity
                self.number = 0

            def get_config_schema(self) -> dict[str, Any]:
                texts = {"type": "string", "description": "anything"}
                return {
                    "type": "object",
                    "properties": {"url": texts, "label": texts, "password": texts},
                    "additionalProperties": False,
                }

            async def connect(self, config: dict[str, Any]) -> Any:
                service.instances += 1
                self.number = service.instances
                self.config = config
                service.log.append(f"connect {self.number}")
                service.open.append(self.number)  # half-open is open, too
                await service.at("connect", self.number)
                self.gate = asyncio.Semaphore(service.capacity or 10**6)
                return self

            async def disconnect(self) -> None:
                service.log.append(f"disconnect {self.number}")
                if self.number in service.open:
                    service.open.remove(self.number)
                await service.at("disconnect", self.number)

            async def get_connection(self) -> Any:
                await service.at("get", self.number)
                await self.gate.acquire()
                service.handles += 1
                handle = self if service.single else f"{self.number}:{service.handles}"
                service.log.append(f"lease {self.number}")
                service.leased.append(handle)
                return handle

            async def release_connection(self, connection: Any) -> None:
                await service.at("release", self.number)
                self.back("release", connection)

            async def discard_connection(self, connection: Any) -> None:
                await service.at("discard", self.number)
                self.back("discard", connection)

            def back(self, how: str, connection: Any) -> None:
                service.log.append(f"{how} {self.number}")
                if connection in service.leased:
                    service.leased.remove(connection)
                    self.gate.release()
                else:
                    service.twice.append(connection)

            @asynccontextmanager
            async def transaction(self, connection: Any) -> AsyncIterator[None]:
                await service.at("begin", self.number)
                service.log.append(f"begin {connection}")
                try:
                    yield
                    service.log.append(f"commit {connection}")
                    await service.at("commit", self.number)
                except BaseException:
                    service.log.append(f"rollback {connection}")
                    await service.at("rollback", self.number)
                    raise

            def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
                prefix = service.name
                return {
                    f"{prefix}_op": self.op,
                    f"{prefix}_fail": self.fail,
                    f"{prefix}_nap": self.nap,
                    f"{prefix}_stream": self.stream,
                    f"{prefix}_ping": self.no_lease,
                }

            async def op(self, value: Any = None, connection: Any = None) -> dict[str, Any]:
                """Answer."""
                async with service.use(connection):
                    pass
                service.seen.append((self.config.get("label"), value))
                return {"value": value, "label": self.config.get("label"), "instance": self.number}

            async def fail(self, error: str = "task", times: int = 10**6, connection: Any = None) -> dict[str, Any]:
                """Fail, the first `times` times."""
                async with service.use(connection):
                    pass
                service.log.append(f"fail {error}")
                if service.count("fail") > times:
                    return {"instance": self.number}
                raise FlowExecutionError(f"the service says {error} {self.config.get('url', '')}", error_class=error)

            async def nap(self, connection: Any = None) -> dict[str, Any]:
                """Take for ever."""
                service.log.append("nap")
                await asyncio.sleep(FOREVER)
                return {}

            async def stream(self, count: int = 4, fail_at: int = -1, connection: Any = None) -> Any:
                """Rows, two in a batch."""
                try:
                    for start in range(0, count, 2):
                        async with service.use(connection):
                            pass
                        if start >= fail_at >= 0:
                            raise ConnectionResetError("the link broke")
                        yield [{"n": n} for n in range(start, min(start + 2, count))]
                finally:
                    service.log.append("cursor closed")

            async def no_lease(self) -> dict[str, Any]:
                """Need no handle."""
                return {"instance": self.number}

        return Fake


def registry_of(*services: Service) -> PluginRegistry:
    registry = PluginRegistry(discover=False)
    for each in services:
        registry.register(each.plugin())
    return registry


async def run(text: str, *services: Service, **options: Any) -> tuple[RunResult, list[Event]]:
    """Run a flow with these services, and no others. Returns the result and the events."""
    events: list[Event] = []
    options.setdefault("on_event", events.append)
    result = await flowlang.run(text=text, registry=registry_of(*services), **options)
    return result, events


def told(event: Event) -> str | None:
    """An event in a few words; None for one that the cases leave out."""
    kind = type(event).__name__
    if kind == "StepStarted":
        return f"start {event.path} ({event.operation})"  # type: ignore[union-attr]
    if kind == "StepSucceeded":
        return f"ok {event.path}"  # type: ignore[union-attr]
    if kind == "StepFailed":
        return f"failed {event.path}: {event.failure.type}"  # type: ignore[union-attr]
    if kind in ("StepSkipped", "StepCancelled"):
        return f"{kind[4:].lower()} {event.path}"  # type: ignore[union-attr]
    if kind == "AttemptFailed":
        return f"again {event.path}: {event.attempt} of {event.max_attempts}, {event.delay:g} s"  # type: ignore[union-attr]
    if kind == "LogWritten":
        return f"log {event.message}"  # type: ignore[union-attr]
    return None


def story(events: list[Event]) -> list[str]:
    return [text for each in events if (text := told(each)) is not None]


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something has happened; it is given up after very many turns."""
    for _ in range(500_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


# ---------------------------------------------------------------- tasks


def tasks() -> dict[str, Callable[..., Any]]:
    """Fresh tasks for one run; what they remember is theirs."""
    calls: dict[str, int] = {}

    @flowlang.task(effect="none")
    async def echo(value: Any = None) -> dict[str, Any]:
        return {"value": value}

    @flowlang.task(effect="read")
    async def fail(
        error: str = "task",
        message: str = "it broke",
        times: int = 10**6,
        retryable: bool | None = None,
        retry_after: float | None = None,
        context: Any = None,
    ) -> dict[str, Any]:
        calls[context.step] = calls.get(context.step, 0) + 1
        if calls[context.step] > times:
            return {"attempt": context.attempt, "key": context.idempotency_key}
        raise FlowExecutionError(message, error_class=error, retryable=retryable, retry_after=retry_after)

    @flowlang.task(effect="write")
    async def write(error: str = "connection_lost", times: int = 1, context: Any = None) -> dict[str, Any]:
        calls[context.step] = calls.get(context.step, 0) + 1
        if calls[context.step] > times:
            return {"attempt": context.attempt}
        raise {"connection_lost": ConnectionResetError("reset"), "plain": ValueError("bad")}[error]

    @flowlang.task(effect="none")
    async def nap(seconds: float = FOREVER) -> dict[str, Any]:
        await asyncio.sleep(seconds)
        return {}

    @flowlang.task(effect="read")
    async def rows(count: int, size: int = 2, fail_at: int = -1) -> Any:
        for start in range(0, count, size):
            await asyncio.sleep(0)
            if start >= fail_at >= 0:
                raise FlowExecutionError("no more rows", error_class="unavailable")
            yield list(range(start, min(start + size, count)))

    return {"echo": echo, "fail": fail, "write": write, "nap": nap, "rows": rows}
