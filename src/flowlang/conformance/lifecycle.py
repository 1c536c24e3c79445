"""Checks of opening and closing, of cancellation on the way, and of a service that goes away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from flowlang.conformance.calls import Call
from flowlang.conformance.model import Absent, Failed, Unproven, check
from flowlang.conformance.subject import Config, Opened, Subject
from flowlang.conformance.watching import ends, nothing_left, settle
from flowlang.events import ConnectionClosed

CLOSE_LIMIT = 8.0  # seconds that closing may take when the service is silent; a run waits for 10
STOP_LIMIT = 3.0  # seconds in which a cancellation has to arrive
MOMENTS = (0, 1, 2, 3, 5, 8, 13, 21)  # turns of the loop after which a cancellation comes
RETRY = {"max_attempts": 4, "delay": "10ms", "backoff": "constant", "jitter": False}


async def _warm(subject: Subject) -> None:
    """Open and use it once: what a driver loads and keeps for the whole process is no leak."""
    call = await subject.reading() if subject.specs else None
    async with subject.opened() as opened:
        if call is not None:
            await opened.call(call)


@check("contract")
async def open_close_clean(subject: Subject) -> None:
    """After opening, using and closing no socket, file, thread or task is left."""
    await _warm(subject)
    async with nothing_left("opening, using and closing it"):
        await _warm(subject)


@check("contract")
async def close_twice(subject: Subject) -> None:
    """Closing what is closed does nothing."""
    plugin = subject.plugin()
    await plugin.connect(subject.ready())
    await plugin.disconnect()
    if error := await ends(plugin.disconnect(), CLOSE_LIMIT, "the second `disconnect()`"):
        raise Failed(f"the second `disconnect()` raises {type(error).__name__}: {error}")


@check("contract")
async def close_before_open(subject: Subject) -> None:
    """Closing what was never opened does nothing."""
    if error := await ends(subject.plugin().disconnect(), CLOSE_LIMIT, "`disconnect()` before `connect()`"):
        raise Failed(f"`disconnect()` before `connect()` raises {type(error).__name__}: {error}")


@asynccontextmanager
async def _unopenable(subject: Subject) -> AsyncIterator[dict[str, Any]]:
    """A config with which opening fails half-way: the link is reset when it is used, or what the author stated."""
    if subject.wrong_config:
        yield {**subject.config, **subject.wrong_config}
        return
    with subject.wire() as (proxy, config):
        proxy.hang_up()
        yield config


@check("contract", "clean_failure")
async def failed_open_clean(subject: Subject) -> None:
    """When opening fails half-way nothing stays open."""
    await _warm(subject)
    async with _unopenable(subject) as config:
        await subject.failure_of_use(config)
        async with nothing_left("a failed `connect()`, followed by `disconnect()`,"):
            if await subject.failure_of_use(config) == (None, "task"):
                raise Failed("`connect()` and a call succeed without a service")


@check("contract", "clean_failure")
async def second_fails(subject: Subject) -> None:
    """When the second of two connections cannot be opened, the first one is closed."""
    await _warm(subject)
    async with _unopenable(subject) as wrong, nothing_left("a connection beside one that could not be opened"):
        first, second = subject.plugin(), subject.plugin()
        await first.connect(subject.ready())
        try:
            await second.connect(subject.ready(wrong))
        except Exception:  # noqa: BLE001 - it has to fail; with what, other checks tell
            pass
        finally:
            await second.disconnect()
            await first.disconnect()


# ---------------------------------------------------------------- cancellation


async def _cancelled_at(work: Coroutine[Any, Any, Any], turns: int, what: str) -> bool:
    """Cancel `work` after that many turns of the loop. Whether it was still running then. The cancellation has to
    arrive, as itself."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    running = not task.done()
    task.cancel()
    await asyncio.wait({task}, timeout=STOP_LIMIT)
    if not task.done():
        raise Failed(f"{what} goes on for more than {STOP_LIMIT:g} s after it was cancelled")
    if running and not task.cancelled() and (error := task.exception()) is not None:
        raise Failed(f"cancelling {what} ends in {type(error).__name__}: {error}; let `CancelledError` through")
    return running


@check("contract")
async def cancel_open(subject: Subject) -> None:
    """Cancelled while it opens, it stops, lets the cancellation through, and leaves nothing."""
    await _warm(subject)
    ready = subject.ready()
    async with nothing_left("a `connect()` that was cancelled, followed by `disconnect()`,"):
        for turns in MOMENTS:
            plugin = subject.plugin()
            await _cancelled_at(plugin.connect(dict(ready)), turns, "`connect()`")
            await plugin.disconnect()
    await _cancel_silent_open(subject)


async def _cancel_silent_open(subject: Subject) -> None:
    """The same while the service keeps its answer back, for as long as it takes."""
    try:
        _ = subject.address
    except Absent:
        return
    async with nothing_left("a `connect()` cancelled while the service was silent, followed by `disconnect()`,"):
        with subject.wire() as (proxy, config):
            proxy.stall()
            plugin = subject.plugin()
            opening = asyncio.ensure_future(plugin.connect(subject.ready(config)))
            await settle(lambda: proxy.requests or opening.done(), 1)
            if not opening.done():  # else it asks the service for nothing before the first operation
                await _cancelled_at(_awaiting(opening), 1, "`connect()`")
            await plugin.disconnect()


async def _awaiting(task: asyncio.Future[Any]) -> Any:
    return await task


@check("contract", "pool")
async def cancel_lease(subject: Subject) -> None:
    """Cancelled while it waits for a handle, it stops, and the place in the pool is not lost."""
    async with subject.opened(small(subject)) as opened:
        if opened.plugin.capacity is None:
            raise Absent("its leases are not bounded")
        held = [await opened.plugin.get_connection() for _ in range(opened.plugin.capacity)]
        for turns in MOMENTS:
            await _cancelled_at(opened.plugin.get_connection(), turns, "`get_connection()`")
        for each in held:
            await opened.plugin.release_connection(each)
        await all_leases(opened, "after waiters were cancelled")


def small(subject: Subject) -> Config:
    """The config with a pool of two, where its size can be set."""
    for name in ("pool_size", "max_pool_size", "max_connections"):
        if name in subject.schema.get("properties", {}):
            return {**subject.config, name: 2}
    return subject.config


async def all_leases(opened: Opened, when: str) -> None:
    """Every handle of the pool can be had at once."""
    held = []
    try:
        async with asyncio.timeout(STOP_LIMIT):
            held = [await opened.plugin.get_connection() for _ in range(opened.plugin.capacity or 1)]
    except TimeoutError as error:
        raise Failed(f"{when} not all of the {opened.plugin.capacity} handles can be leased any more") from error
    for each in held:
        await opened.plugin.release_connection(each)


@check("contract")
async def cancel_operation(subject: Subject) -> None:
    """Cancelled while an operation is under way, it stops, leaves nothing, and the next operation works."""
    call = await subject.reading()
    await _warm(subject)
    async with nothing_left("an operation that was cancelled"), subject.opened() as opened:
        for turns in MOMENTS:
            await _cancelled_at(opened.call(call), turns, "an operation")
        await _works(opened, call, "after a cancelled operation")


async def _works(opened: Opened, call: Call, when: str) -> None:
    error = await ends(opened.call(call), STOP_LIMIT, f"{when}, the next one")
    if error is not None:
        raise Failed(f"{when} the next one fails: {type(error).__name__}: {error}")


@check("contract", "network")
async def cancel_close(subject: Subject) -> None:
    """Cancelled while it closes, with a service that is silent, it stops and leaves nothing."""
    await _warm(subject)
    await subject.calls()
    async with nothing_left("a `disconnect()` that was cancelled"):
        with subject.wire() as (proxy, config):
            for turns in (1, 2, 3, 8):  # at 0 it would not even have begun
                plugin = subject.plugin()
                await plugin.connect(subject.ready(config))
                proxy.swallow()
                await _cancelled_at(plugin.disconnect(), turns, "`disconnect()`")
                left = await settle(lambda: proxy.open == 0)
                proxy.resume()
                if not left:
                    raise Failed("a `disconnect()` that was cancelled leaves its link open")


# ---------------------------------------------------------------- closing


@check("contract")
async def reopen(subject: Subject) -> None:
    """After closing it can be opened again, the same instance too."""
    call = await subject.reading()
    plugin = subject.plugin()
    for _ in range(2):
        try:
            client = await plugin.connect(subject.ready())
            await Opened(plugin, client, subject.specs).call(call)
        except Exception as error:
            raise Failed(f"opened again after closing it fails: {type(error).__name__}: {error}") from error
        finally:
            await plugin.disconnect()


@check("contract", "network")
async def close_in_time(subject: Subject) -> None:
    """Closing ends in time when the service has gone silent."""
    await subject.calls()
    with subject.wire() as (proxy, config):
        plugin = subject.plugin()
        await plugin.connect(subject.ready(config))
        proxy.swallow()
        await ends(plugin.disconnect(), CLOSE_LIMIT, "`disconnect()`, with a service that has gone silent,")


@check("contract", "network")
async def close_after_loss(subject: Subject) -> None:
    """Closing after the link was lost raises nothing, so that it hides nothing of what the flow has to tell."""
    await subject.calls()
    with subject.wire() as (proxy, config):
        plugin = subject.plugin()
        await plugin.connect(subject.ready(config))
        proxy.refuse()
        proxy.cut()
        error = await ends(plugin.disconnect(), CLOSE_LIMIT, "`disconnect()` after the link was lost")
    if error is not None:
        raise Failed(f"`disconnect()` after the link was lost raises {type(error).__name__}: {error}")


@check("contract")
async def lazy_unused(subject: Subject) -> None:
    """What is lazy and not used is not opened: neither making an instance nor asking for its tasks opens anything."""
    await _warm(subject)
    watched, seen = subject.watched()
    async with nothing_left("an instance that is made, asked and not opened"):
        for _ in range(3):
            plugin = watched.plugin()
            plugin.get_builtin_tasks(), plugin.get_config_schema(), plugin.get_dependencies()
        kept = plugin
        ran = await watched.flow(options={"lazy": True})
        if seen or not ran.result.succeeded:
            raise Failed(f"a lazy connection that no step uses is opened, or is in the way: {ran.result.failure}")
        before = subject.plugin()
        if [each for each in (kept, before) if getattr(each, "capacity", None) and seen]:
            raise Failed("an instance opens before `connect()`")
        await _no_handle(kept)


async def _no_handle(plugin: Any) -> None:
    """An instance that is not open gives no handle."""
    try:
        async with asyncio.timeout(STOP_LIMIT):
            await plugin.get_connection()
    except Exception:  # noqa: BLE001 - that it refuses is right, in whichever words
        return
    raise Failed("`get_connection()` gives a handle of a connection that was never opened")


# ---------------------------------------------------------------- a service that goes away


@check("quality", "network")
async def ping_truth(subject: Subject) -> None:
    """`ping` answers on a living link and raises when the service is gone."""
    async with subject.through() as (proxy, opened):
        async with opened.leased(broken=True) as handle:
            await opened.plugin.ping(handle)
            proxy.refuse()
            proxy.cut()
            error = await ends(opened.plugin.ping(handle), CLOSE_LIMIT, "`ping` without a service")
        if error is None:
            raise Failed("`ping` is content although the service is gone")


@check("contract", "network")
async def restart_recovers(subject: Subject) -> None:
    """When the links are lost between two steps, the next one works, or fails as something that a retry may mend, and
    does mend."""
    call = await subject.reading()
    with subject.wire() as (proxy, config):
        leases = 0

        async def losing(_: Any) -> None:
            nonlocal leases
            leases += 1
            if leases == 2:
                await asyncio.to_thread(proxy.cut)

        ran = await subject.leasing(before=losing).flow(call, call, config=config, retry=RETRY)
    if not ran.result.succeeded:
        failure = ran.result.failure
        told = f"{failure.type}, {failure.detail}" if failure else ran.result.findings
        raise Failed(f"after the links were lost it does not recover within {RETRY['max_attempts']} attempts: {told}")


@check("contract")
async def loop_not_blocked(subject: Subject) -> None:
    """While an operation waits for the service, the event loop goes on with other work."""
    if subject.operations.slow is not None:
        async with subject.opened() as opened:
            await _loop_goes_on(opened.call(subject.operations.slow), lambda: None)
        return
    try:
        call = await subject.reading()
        async with subject.through() as (proxy, opened):
            proxy.stall()
            timer = threading.Timer(1.5, proxy.resume)  # a plugin that blocks the loop would hang for ever
            timer.start()
            try:
                await _loop_goes_on(opened.call(call), proxy.resume)
            finally:
                timer.cancel()
                proxy.resume()
    except Absent as absent:
        raise Unproven(f"{absent}: state `slow` in `operations` to prove this") from absent


async def _loop_goes_on(work: Coroutine[Any, Any, Any], then: Callable[[], None]) -> None:
    """The loop has to turn for a while before the operation ends."""
    ticks = 0
    task = asyncio.ensure_future(work)
    while ticks < 20 and not task.done():
        await asyncio.sleep(0.01)
        ticks += 1
    then()
    if ticks < 20:
        raise Failed(f"the event loop turned {ticks} times while an operation waited: it is blocked")
    if not task.done():
        task.cancel()
    await asyncio.wait({task}, timeout=CLOSE_LIMIT)


@check("contract")
async def two_loops(subject: Subject) -> None:
    """It works in two event loops, one after the other: nothing in the module or class belongs to the first."""
    call = await subject.reading()
    problems: list[str] = []

    async def used() -> None:
        async with subject.opened() as opened:
            await asyncio.gather(*(opened.call(call) for _ in range(8)))

    def in_a_loop() -> None:
        try:
            asyncio.run(asyncio.wait_for(used(), CLOSE_LIMIT))
        except Exception as error:  # noqa: BLE001 - foreign code, in a thread: told below
            problems.append(f"{type(error).__name__}: {error}")

    for _ in range(2):
        thread = threading.Thread(target=in_a_loop, name="conformance-loop")
        thread.start()
        await asyncio.to_thread(thread.join)
    if problems:
        raise Failed(f"used in another event loop it fails: {problems[0]}")


def closing_problem(events: tuple[Any, ...]) -> str | None:
    """What a run told of closing."""
    return next((each.problem for each in events if isinstance(each, ConnectionClosed) and each.problem), None)
