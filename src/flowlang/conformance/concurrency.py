"""Checks of pools and leases, and of connections beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from flowlang.conformance.calls import Call, Steps
from flowlang.conformance.lifecycle import STOP_LIMIT, all_leases, small
from flowlang.conformance.model import Absent, Failed, Unproven, check
from flowlang.conformance.proxy import HOST, Proxy
from flowlang.conformance.secrets import CANARY, takes_any_credential, with_wrong_secret
from flowlang.conformance.sharing import last, run, succeed
from flowlang.conformance.subject import NAME, Opened, Subject, flow_text
from flowlang.connections.pools import Pools

WAIT = 0.3  # seconds that a waiter is given before it is told that there is nothing
ENDS = 10.0  # seconds in which what would hang for ever has to be refused


def _pooled(opened: Opened) -> int:
    """How many handles there are. Raises `Absent` when leases are not bounded."""
    if opened.plugin.capacity is None:
        raise Absent("its leases are not bounded (`capacity` is None)")
    return opened.plugin.capacity


@check("contract", "network")
async def connections_isolated(subject: Subject) -> None:
    """Two connections of one type, to different places, go each their own way."""
    call = await subject.reading()
    address = subject.address
    target = (address.host, address.port)
    with Proxy(target) as one, Proxy(target) as two:
        configs = [address.moved(subject.config, HOST, each.port) for each in (one, two)]
        async with subject.opened(configs[0]) as first, subject.opened(configs[1]) as second:
            for opened, own, other in ((first, one, two), (second, two, one)):
                for each in (one, two):
                    each.reset_counts()
                await opened.call(call)
                if other.requests or not own.requests:
                    raise Failed("an operation on one connection goes over another one of the same type")


@check("contract")
async def runs_isolated(subject: Subject) -> None:
    """Two runs at the same time do not meet: closing one connection leaves another one of the same config at work."""
    call = await subject.reading()
    async with subject.opened() as first:
        async with subject.opened() as second:
            await asyncio.gather(*(each.call(call) for each in (first, second) for _ in range(3)))
        try:
            await first.call(call)
        except Exception as error:
            raise Failed(f"closing one connection breaks another one: {type(error).__name__}: {error}") from error


@check("contract", "pool", "network")
async def pool_bound(subject: Subject) -> None:
    """Under ten times as many operations as the pool has handles there are never more links than its size."""
    call = await subject.reading()
    with subject.wire() as (proxy, config):
        async with subject.opened({**small(subject), **_moved(subject, config)}) as opened:
            size = _pooled(opened)
            await asyncio.gather(*(opened.call(call) for _ in range(10 * size)))
            peak = proxy.peak - subject.side_links
    if peak > size:
        raise Failed(f"a pool of {size} opened {peak} links at the same time")


def _moved(subject: Subject, config: Mapping[str, Any]) -> dict[str, Any]:
    """What in `config` differs from the author's: the place."""
    return {name: each for name, each in config.items() if subject.config.get(name) != each}


@check("contract", "pool")
async def exhaustion_told(subject: Subject) -> None:
    """Who waits in vain for a handle is told that the pool is exhausted, and the wait can be given up."""
    call = await subject.reading()
    taken: list[Any] = []

    async def take_all(plugin: Any) -> None:
        if not taken:
            taken.extend([await plugin_get(plugin) for _ in range(plugin.capacity)])

    plugin_get = subject.plugin.get_connection
    async with subject.opened(small(subject)) as opened:
        _pooled(opened)
    ran = await subject.leasing(before=take_all).flow(
        call, config=small(subject), options={"acquire_timeout": f"{int(WAIT * 1000)}ms"}
    )
    failure = ran.result.failure
    told = f"{failure.detail} {' '.join(failure.notes)} {' '.join(failure.cause)}" if failure else "success"
    if failure is None or "exhausted" not in told or failure.type not in ("timeout", "limit"):
        raise Failed(f"a step that waits in vain for a handle ends in: {told}")


@check("contract", "pool")
async def given_back(subject: Subject) -> None:
    """Handles come back after a success, an error, a timeout, a cancellation and a retry."""
    call = await subject.reading()
    async with subject.opened(small(subject)) as opened:
        size = _pooled(opened)
        for error in (None, RuntimeError("of a task"), asyncio.CancelledError(), TimeoutError()):
            for _ in range(2 * size):
                await _used(opened, call, error)
            await all_leases(opened, f"after {type(error).__name__ if error else 'successes'}")
        async with opened.leased():
            pass
        await all_leases(opened, "after a lease that was not used")


async def _used(opened: Opened, call: Call, error: BaseException | None) -> None:
    """A lease, used, whose block ends with `error`; discarded after a timeout, as a run does."""
    try:
        async with asyncio.timeout(STOP_LIMIT), opened.leased(broken=isinstance(error, TimeoutError)) as handle:
            await opened.on(handle, call)
            if error is not None:
                raise error
    except TimeoutError as late:
        if late is not error:
            raise Failed("a handle can not be leased any more") from late
    except BaseException as raised:
        if raised is not error:
            raise


@check("contract", "network")
async def broken_not_reused(subject: Subject) -> None:
    """A handle whose link broke is not handed out again: after one failure at most for each, operations work."""
    call = await subject.reading()
    with subject.wire() as (proxy, config):
        async with subject.opened({**small(subject), **_moved(subject, config)}) as opened:
            size = opened.plugin.capacity or 1
            held = [await opened.plugin.get_connection() for _ in range(size)]
            single = held[0] is opened.client
            for each in held:
                await opened.plugin.release_connection(each)
            proxy.cut()
            failed = 0
            for _ in range(size + 1):
                try:
                    async with opened.leased(broken=False) as handle:
                        await _discarding(opened, handle, call)
                    return
                except Exception as error:  # noqa: BLE001 - how it fails, other checks tell
                    failed, last = failed + 1, error
    if single:
        raise Absent("its single client is replaced by FlowLang")
    raise Failed(f"after the links broke {failed} operations in a row fail: {type(last).__name__}: {last}")


async def _discarding(opened: Opened, handle: Any, call: Call) -> None:
    try:
        await opened.on(handle, call)
    except Exception:
        await opened.plugin.discard_connection(handle)
        raise


@check("contract", "sessions")
async def session_reset(subject: Subject) -> None:
    """What one use leaves in the session of a handle is gone for the next one."""
    dirty, shows = subject.stated("dirty"), subject.stated("session")
    await subject.calls()
    async with subject.opened(_single(subject)) as opened:
        before = await opened.call(shows)
        await opened.call(dirty)
        after = await opened.call(shows)
    if after != before:
        raise Failed(f"after a use that changed the session the next one begins with {after!r}, not {before!r}")


def _single(subject: Subject) -> Mapping[str, Any]:
    found = small(subject)
    return {name: 1 if found.get(name) != subject.config.get(name) else each for name, each in found.items()}


@check("contract")
async def settings_apart(subject: Subject) -> None:
    """Connections whose settings differ never share a client: not in size, and not in who they log in as."""
    async with subject.opened() as first, subject.opened(small(subject)) as second:
        if first.client is second.client and first.client is not None:
            raise Failed("two connections with different settings are given the same client")
        if first.plugin.capacity is not None and first.plugin.capacity != second.plugin.capacity:
            await all_leases(second, "beside a connection with other settings")
        try:
            wrong = with_wrong_secret(subject, CANARY)
        except Absent:
            return
        if await subject.failure_of_use(wrong) == (None, "task") and not await takes_any_credential(subject, wrong):
            raise Failed("a connection with a wrong credential shares the link of one with the right credential")


@check("contract")
async def shared_by_runs(subject: Subject) -> None:
    """A plugin that is `shareable` serves many runs with one instance: a link that breaks in one run breaks nothing for
    the others, and what one leaves in a session the others do not see."""
    if not subject.plugin.shareable:
        raise Absent("it is not `shareable`: each run has an instance of its own")
    await subject.calls()
    counted, opened = subject.watched()
    call, config = await subject.reading(), _single(subject)
    async with Pools() as pools:
        await succeed([run(counted, pools, call, config) for _ in range(5)], "run at the same time")
        if len(opened) != 1:
            raise Failed(f"5 runs that share a connection opened it {len(opened)} times")
        broken = [run(counted, pools, call, config, breaks=True) for _ in range(2 * (subject.plugin.capacity or 2))]
        await asyncio.gather(*broken)
        await succeed([run(counted, pools, call, config) for _ in range(5)], "run after links broke in others")
        dirty, shows = subject.operations.dirty, subject.operations.session
        if dirty is not None and shows is not None:
            before = last(await run(counted, pools, shows, config))
            await run(counted, pools, dirty, config)
            after = last(await run(counted, pools, shows, config))
            if after != before:
                raise Failed(f"a run sees in its session what another left there: {after!r} in place of {before!r}")


@check("quality", "pool")
async def no_waiter_starves(subject: Subject) -> None:
    """Who waits for a handle gets one in turn: nobody is passed over again and again."""
    call = await subject.reading()
    served: list[int] = []

    async def worker(number: int) -> None:
        for _ in range(4):
            await opened.call(call)
            served.append(number)

    async with subject.opened(_single(subject)) as opened:
        size = _pooled(opened)
        count = 4 * size
        await asyncio.gather(*(worker(each) for each in range(count)))
    early = served[: 3 * count]
    starved = [each for each in range(count) if each not in early]
    if starved:
        raise Failed(f"of {count} workers {len(starved)} got no handle while others got theirs three times")


@check("contract", "streaming", "pool")
async def nested_step(subject: Subject) -> None:
    """A step inside a loop over a stream that holds the only handle fails at once instead of hanging."""
    stream, call = await _streaming(subject), await subject.reading()
    async with subject.opened(_single(subject)) as opened:
        try:
            async with asyncio.timeout(WAIT):
                held = [await opened.plugin.get_connection() for _ in range(2)]
        except TimeoutError:
            pass
        else:
            for each in held:
                await opened.plugin.release_connection(each)
            raise Absent("it has always one more handle")
    steps = Steps(NAME)
    source = steps.add(stream)
    inner = Steps(NAME)
    inner.inputs = steps.inputs
    inner.add(call)
    output = next(iter(subject.specs[stream.task].outputs or ("rows",)))
    lines = [
        f"  - for_each: ${{{source}.{output}}}",
        "    do:",
        *(f"    {each.replace('s0', 'inner', 1)}" for each in inner.lines),
    ]
    steps.lines += lines
    text = flow_text(subject.plugin.name, _single(subject), steps)
    try:
        ran = await asyncio.wait_for(subject.run(text, steps.inputs), ENDS)
    except TimeoutError as error:
        raise Failed(
            "a step inside a loop over a stream waits for a handle that never comes: set `capacity`"
        ) from error
    if ran.result.status == "invalid":
        raise Unproven(f"the flow for this is refused: {ran.result.findings[0].message}")


async def _streaming(subject: Subject) -> Call:
    """A call that streams. Raises `Absent` when no task does."""
    if not any(each.streams for each in subject.specs.values()):
        raise Absent("no task gives a stream")
    await subject.calls()
    if subject.operations.fill is not None and subject.operations.stream is not None:
        async with subject.opened() as opened:
            await opened.call(subject.operations.fill(100))
    return subject.stated("stream")  # type: ignore[no-any-return]
