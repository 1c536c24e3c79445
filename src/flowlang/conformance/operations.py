"""Checks of what the tasks take and give."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from flowlang.conformance.calls import Call
from flowlang.conformance.model import Absent, Failed, Unproven, check
from flowlang.conformance.subject import Opened, Subject
from flowlang.conformance.watching import ends

MANY = 100_000
HELD = 10_000  # items in the stream whose memory is watched
STALLED = 0.4  # seconds that a step may take while the service is silent
# Texts that have broken out of statements, commands, paths and templates.
HOSTILE = (
    "' OR '1'='1", '"; DROP TABLE x; --', "\\'; SELECT 1; #", "$1 %s ? :name {0} {{7*7}} ${1+1} $${x}", "`id` $(id)",
    "\r\nFLUSHALL\r\n", '{"$gt": ""}', "../../etc/passwd", "%27%00%0d%0a", "* ~ [a-z] \\x00", "=cmd|'/c calc'!A0",
)  # fmt: skip
PLAIN = ("", " ", "ä€𝄞\u202e\u0301", "line\nline\ttab", "true", "null", "0012", "a" * 1_000_000)


# ---------------------------------------------------------------- outputs


@check("contract")
async def outputs_match(subject: Subject) -> None:
    """A task gives a dict; when its outputs are declared, exactly those."""
    for call, given in await _given(subject):
        spec = subject.specs[call.task]
        if spec.streams:
            if not all(hasattr(batch, "__len__") and not isinstance(batch, (str, bytes, dict)) for batch in given):
                raise Failed(f"`{call.task}` streams something other than batches of items")
        elif not isinstance(given, dict):
            raise Failed(f"`{call.task}` gives {type(given).__name__}, not a dict")
        elif spec.outputs is not None and given.keys() != spec.outputs.keys():
            wrong = sorted(given.keys() ^ spec.outputs.keys())
            raise Failed(f"`{call.task}` declares other outputs than it gives: {', '.join(wrong)}")


async def _given(subject: Subject) -> list[tuple[Call, Any]]:
    """What every call that is known gives."""
    calls = await subject.calls()
    if not calls:
        raise Absent("it has no task that the example calls")
    stated = (subject.operations.state, subject.operations.repeat)
    async with subject.opened() as opened:
        return [(each, await opened.call(each)) for each in (*calls, *filter(None, stated))]


@check("contract")
async def outputs_json(subject: Subject) -> None:
    """What a task gives can be written as JSON by FlowLang's map of types."""
    from flowlang.exceptions import FlowExecutionError
    from flowlang.tasks.jsontext import to_json

    for call, given in await _given(subject):
        try:
            to_json(given)
        except FlowExecutionError as error:
            raise Failed(f"`{call.task}`: {error}") from error


# ---------------------------------------------------------------- values


async def _round_trips(subject: Subject, values: tuple[str, ...]) -> None:
    put, get = subject.stated("put"), subject.stated("get")
    await subject.calls()
    async with subject.opened() as opened:
        for value in values:
            shown = ascii(value if len(value) < 60 else f"{value[:20]}… ({len(value):,} characters)")
            try:
                await opened.call(put.with_value(value))
                found = await opened.call(get)
            except Exception as error:
                raise Failed(f"the text {shown} is not taken: {type(error).__name__}: {str(error)[:200]}") from error
            if not _holds(found, value):
                raise Failed(f"the text {shown} comes back as {ascii(found)[:200]}")


def _holds(there: Any, value: object) -> bool:
    if isinstance(there, Mapping):
        return any(_holds(each, value) for each in there.values())
    if isinstance(there, (list, tuple)):
        return any(_holds(each, value) for each in there)
    return bool(there == value)


@check("contract", "values")
async def parameters_bound(subject: Subject) -> None:
    """Values are data, never text of a statement, a command or a path: hostile ones come back as they were."""
    await _round_trips(subject, HOSTILE)


@check("quality", "values")
async def values_kept(subject: Subject) -> None:
    """Empty, blank and long texts, and those of every script, come back as they were."""
    await _round_trips(subject, PLAIN)


async def _filled(subject: Subject, count: int) -> Call:
    fill, stream = subject.stated("fill"), subject.stated("stream")
    await subject.calls()
    async with subject.opened() as opened:
        await opened.call(fill(count))
    return stream  # type: ignore[no-any-return]


@check("quality", "streaming")
async def many_items(subject: Subject) -> None:
    """A hundred thousand items stream through, none lost, none twice."""
    _streams(subject)
    stream = await _filled(subject, MANY)
    async with subject.opened() as opened:
        batches = await opened.call(stream)
    count = sum(map(len, batches))
    if count != MANY:
        raise Failed(f"of {MANY:,} items {count:,} arrive")


def _streams(subject: Subject) -> None:
    if not any(each.streams for each in subject.specs.values()):
        raise Absent("no task gives a stream")


@check("quality", "streaming")
async def stream_flat(subject: Subject) -> None:
    """A stream holds a few batches in memory, however many there are."""
    import tracemalloc

    _streams(subject)
    stream = await _filled(subject, HELD)
    async with subject.opened() as opened, opened.leased() as handle:
        tracemalloc.start()
        try:
            longest = 0
            async for batch in opened.batches(handle, stream):
                longest = max(longest, len(batch))
            _, flowing = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            whole = await opened.on(handle, stream)
            _, kept = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    if longest > HELD // 4:
        raise Failed(f"a batch holds {longest:,} of {HELD:,} items")
    if flowing > 0.5 * kept and whole:
        raise Failed(f"streaming {HELD:,} items takes {flowing:,} bytes, all of them at once {kept:,}")


# ---------------------------------------------------------------- limits


@check("contract", "network")
async def timeout_honoured(subject: Subject) -> None:
    """The time limit of a step holds when the service is silent, and the step is told to have timed out."""
    call = await subject.reading()
    failure = await _silent(subject, call)
    if failure.type != "timeout":
        raise Failed(f"with a silent service the step ends in {failure.type}: {failure.detail}")


@check("contract", "network", "writes")
async def cancelled_write(subject: Subject) -> None:
    """A write that was cut short is told with an unknown outcome, never as a success."""
    call = await subject.writing()
    failure = await _silent(subject, call)
    if not failure.outcome_unknown:
        raise Failed("a write that ran out of time is told as if its outcome were known")


async def _silent(subject: Subject, call: Call) -> Any:
    """How a step ends whose service goes silent when it begins."""
    with subject.wire() as (proxy, config):

        async def silence(_: Any) -> None:
            await asyncio.to_thread(proxy.stall)

        silent = subject.leasing(after=silence)
        work = asyncio.ensure_future(silent.flow(call, config=config, timeout=f"{int(STALLED * 1000)}ms"))
        error = await ends(work, 20, "a step with a time limit, with a silent service,")
        if error is not None:
            raise error
    result = work.result().result
    if result.failure is None:
        raise Failed("a step whose service never answered succeeds")
    return result.failure


@check("quality", "slow")
async def cancelled_at_service(subject: Subject) -> None:
    """When a step is cut short, the work stops at the service too."""
    slow, running = subject.stated("slow"), subject.stated("running")
    await subject.calls()
    async with subject.opened() as opened, subject.opened() as beside:
        task = asyncio.ensure_future(opened.call(slow))
        await _until(beside, running, 1, "the slow operation does not show at the service")
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        await _until(beside, running, 0, "the operation goes on at the service after its step was cancelled")


async def _until(opened: Opened, running: Call, wanted: int, otherwise: str) -> None:
    for _ in range(100):
        if _number(await opened.call(running)) == wanted:
            return
        await asyncio.sleep(0.02)
    raise Failed(otherwise)


def _number(there: Any) -> int | None:
    """The number under `n`, or else under `count`, wherever it stands in some outputs."""
    for name in ("n", "count"):
        found = next(_under(name, there), None)
        if found is not None:
            return found
    return None


def _under(name: str, there: Any) -> Iterator[int]:
    if isinstance(there, Mapping):
        if isinstance(there.get(name), int):
            yield there[name]
        for each in there.values():
            yield from _under(name, each)
    elif isinstance(there, (list, tuple)):
        for each in there:
            yield from _under(name, each)


# ---------------------------------------------------------------- effects


async def _states(subject: Subject, *calls: Call) -> list[Any]:
    """What the service holds before the calls and after each."""
    state = subject.stated("state")
    async with subject.opened() as opened:
        found = [await opened.call(state)]
        for each in calls:
            await opened.call(each)
            found.append(await opened.call(state))
    return found


@check("quality", "writes")
async def idempotent_twice(subject: Subject) -> None:
    """A task that declares itself idempotent leaves the same when it runs twice."""
    await subject.calls()
    repeat = subject.stated("repeat")
    if not subject.specs[repeat.task].idempotent:
        raise Unproven(f"state as `repeat` a call of an idempotent task; `{repeat.task}` is none")
    _, once, twice = await _states(subject, repeat, repeat)
    if once != twice:
        raise Failed(f"`{repeat.task}` is declared idempotent and leaves something else when it runs twice")


@check("quality", "reads")
async def reads_change_nothing(subject: Subject) -> None:
    """A task whose effect is `read` changes nothing."""
    calls = await subject.calls()
    stated = (subject.operations.read, subject.operations.get, subject.operations.session)
    reads = [each for each in (*calls, *filter(None, stated)) if subject.specs[each.task].effect == "read"]
    if not reads:
        raise Absent("no task states that it reads")
    if subject.operations.put is not None:
        async with subject.opened() as opened:
            await opened.call(subject.operations.put.with_value("kept"))
    before, *after = await _states(subject, *reads)
    for call, found in zip(reads, after):
        if found != before:
            raise Failed(f"`{call.task}` is declared to read and changes what is there")


@check("quality", "batches")
async def batch_failure_told(subject: Subject) -> None:
    """When one item of several is refused the message says which."""
    call, wanted = subject.stated("bad_batch"), subject.operations.bad_item
    await subject.calls()
    async with subject.opened() as opened:
        try:
            await opened.call(call)
        except Exception as error:
            if wanted not in str(error):
                raise Failed(f"the message does not say {wanted!r}: {error}") from error
            return
    raise Failed(f"`{call.task}` takes an item that it has to refuse")
