"""`transaction`: one leased handle for all steps inside on its connection, committed or rolled back at the end.

lease → begin → steps (one at a time on the handle) → commit → release
                      └─ failure, cancellation, exit with failure → roll back → release, or discard
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from flowlang.connections.lifecycle import RELEASE_TIMEOUT, ConnectionSlot, uninterrupted
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.leases import Lease
from flowlang.engine.operations import UNLEASED, failure_of, is_broken, opened, original, unstarved
from flowlang.engine.shared import Shared
from flowlang.engine.steps import Ended, run_block
from flowlang.exceptions import StepError
from flowlang.plan import Frame, Transaction

_LOST_TIMEOUT = 1.0  # seconds to roll back on a handle that is broken
_UNSURE = frozenset({"connection_lost", "timeout"})


class RolledBack(Exception):
    """Leaves a transaction that is not to be kept though nothing has failed."""


async def run_transaction(step: Transaction, frame: Frame, fiber: Fiber) -> Ended | None:
    if step.exactly_once:
        from flowlang.engine.exactly_once import run_once

        return await run_once(step, frame, fiber)
    return await carried(step, frame, fiber, await begun(step, fiber))


async def begun(step: Transaction, fiber: Fiber) -> Shared:
    """A transaction for `step`. Raises StepError."""
    slot = fiber.activation.slots[step.connection]
    try:
        return await _begin(slot, fiber.prefix + step.site.path, fiber, once=step.once)
    except OperationError as error:
        raise step_error(error, step.site, fiber) from error.__cause__


async def carried(
    step: Transaction, frame: Frame, fiber: Fiber, shared: Shared, finish: Callable[[], Awaitable[None]] | None = None
) -> Ended | None:
    """The block in a transaction that was begun, to its end. `finish` is done in it when it is to be committed."""
    slot, outer = shared.slot, fiber.transaction
    shared.outer, fiber.transaction = outer, shared
    kept = (id(fiber), shared.live)
    if shared.live.owner is not slot:
        slot.holders.append(kept)
    try:
        ended = await run_block(step.body, frame, fiber)
        if ended is None or ended.status != "failure":
            if finish is not None and shared.lost is None:
                await finish()
            await fiber.committing(step, frame)
    except GeneratorExit:
        raise  # the event loop is gone: nothing can be awaited any more
    except BaseException as error:
        await uninterrupted(rolled_back(shared, error))
        if isinstance(error, StepError):
            raise _undone(error, shared, fiber) from error.__cause__
        raise
    finally:
        fiber.transaction = outer
        if shared.live.owner is not slot:
            slot.holders.remove(kept)
    if ended is not None and ended.status == "failure":
        await uninterrupted(rolled_back(shared, RolledBack()))
        return ended
    try:
        await _commit(shared, fiber)
    except OperationError as error:
        given = fiber.activation.given(slot.name)
        raise step_error(error, step.site, fiber, given=given) from error.__cause__
    return ended


async def _begin(slot: ConnectionSlot, path: str, fiber: Fiber, *, once: bool) -> Shared:
    """Lease a handle, and begin on it. `once`: with the table of `exactly_once` at hand."""
    fiber.timeout = 0.0
    live = slot.live or await opened(slot, fiber, path)
    if slot.holders:
        live = await unstarved(slot, live, fiber, path)
    fiber.limit = slot.acquire_timeout
    if not fiber.watched:
        fiber.run.watch.add(fiber)
    connection, shared = UNLEASED, None
    lease = Lease(fiber, path, slot) if fiber.run.detail is not None else None
    try:
        connection = await live.get()
        live.leases += 1
        if lease is not None:
            lease.taken(live)
        fiber.next_phase(0.0)
        if once:
            from flowlang.engine.exactly_once import prepare

            await prepare(slot, live, connection)
        begun = Shared(slot, live, connection)
        begun.lease = lease
        await begun.context.__aenter__()
        shared = begun
        fiber.limit = 0.0
        if fiber.timer is not None:
            fiber.disarm()
    except BaseException as error:
        failed = failure_of(error, fiber, live, slot, acquiring=connection is UNLEASED)
        if shared is not None:
            await uninterrupted(rolled_back(shared, failed))
        elif connection is not UNLEASED and type(error) is not GeneratorExit:
            await slot.give_back(live, connection, broken=is_broken(failed))
            if lease is not None:
                lease.returned()
        if failed is error:
            raise
        raise failed from original(error)
    return shared


async def _commit(shared: Shared, fiber: Fiber) -> None:
    slot, live = shared.slot, shared.live
    if shared.lost is not None:
        await uninterrupted(rolled_back(shared, RolledBack()))
        detail = (
            f"the transaction on `{slot.name}` was rolled back: its handle broke in a step whose failure was handled"
        )
        raise OperationError(replace(shared.lost, outcome_unknown=False), slot.name, detail=detail)
    try:
        await shared.context.__aexit__(None, None, None)
    except GeneratorExit:
        raise
    except BaseException as error:
        failed = failure_of(error, fiber, live, slot)
        await shared.give_back(broken=is_broken(failed))
        if failed is error:
            raise
        if isinstance(failed, OperationError) and failed.classified.error_class in _UNSURE:
            failed.classified = replace(failed.classified, outcome_unknown=True)
            failed.notes = (
                *failed.notes,
                "it happened in the commit: whether all of it is kept, or nothing, is unknown",
            )
        raise failed from original(error)
    await shared.give_back(broken=False)


async def rolled_back(shared: Shared, error: BaseException) -> None:
    """Undo it and give the handle back; one that broke, or cannot be rolled back, is discarded."""
    broken = shared.lost is not None
    limit = asyncio.timeout(_LOST_TIMEOUT if broken else RELEASE_TIMEOUT)
    try:
        async with limit:
            await shared.context.__aexit__(type(error), error, error.__traceback__)
    except BaseException as failed:  # noqa: BLE001 - foreign code; the transaction's own failure is the one to tell
        if failed is not error:
            if not broken:
                shared.slot.trouble("a transaction could not be rolled back", failed)
            broken = True
    await shared.give_back(broken=broken)


def _undone(error: StepError, shared: Shared, fiber: Fiber) -> StepError:
    """The failure that ended a transaction. Nothing is kept, so no outcome on its connection is unknown, and all of it
    may be done again."""
    failure = error.failure
    if failure.connection != shared.slot.name or failure.flow != fiber.activation.plan.flow:
        return error
    retryable = failure.retryable if shared.lost is None else shared.lost.retryable
    return StepError(replace(failure, retryable=retryable, outcome_unknown=False))
