"""`exactly_once`: the operations whose key and outputs are written in the transaction that does them.

On a handle of its own such a step is a transaction; in a `transaction` block it is a savepoint of that one. How it is
written is in `connections._sql.once`.

A block that is done exactly once does the same for all of its steps, and keeps what it leaves:

    begin → claim the key → is there an answer? ── yes ──▶ roll back; the block has left that
                                 └─ no ──▶ the steps → write what they leave → commit
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from flowlang.connections.errors import Classified
from flowlang.connections.lifecycle import ConnectionSlot, Live, uninterrupted
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.leases import ToldCall
from flowlang.engine.operations import LeasedCall, failure_of, original
from flowlang.engine.shared import Shared, SharedCall
from flowlang.engine.steps import Ended
from flowlang.engine.transactions import RolledBack, begun, carried, rolled_back
from flowlang.expressions.runtime import UNSET
from flowlang.plan import Frame, Operation, Transaction
from flowlang.tasks.context import Context
from flowlang.tasks.table import objects

_TURNS = re.compile(r"\[\d+\]")  # in a path: which turn of a loop
T = TypeVar("T")


def _name(path: str, flow: str) -> str:
    """Who has a key, whichever turn it is."""
    return f"`{_TURNS.sub('', path)}` of flow `{flow}`"


class OnceCall(LeasedCall):
    """On a handle that is leased for it."""

    __slots__ = ("hands_context",)

    def __init__(self, operation: Operation, slot: ConnectionSlot) -> None:
        super().__init__(operation, slot)
        self.hands_context, self.wants_context = self.wants_context, True

    def task(self, live: Live) -> Callable[..., Any]:
        """What is called in place of the task."""
        slot, function = self.slot, _once(super().task(live), live, self.hands_context, alone=True)

        async def prepared(connection: Any, **kwargs: Any) -> Any:
            await prepare(slot, live, connection)
            return await function(connection=connection, **kwargs)

        return prepared


class ToldOnce(ToldCall, OnceCall):
    """The same, with the events of its lease."""

    __slots__ = ()


class SharedOnce(SharedCall):
    """On the handle of the transaction around it, which has made the table ready before it began."""

    __slots__ = ("hands_context",)

    def __init__(self, operation: Operation, slot: ConnectionSlot) -> None:
        super().__init__(operation, slot)
        self.hands_context, self.wants_context = self.wants_context, True

    def task(self, live: Live) -> Callable[..., Any]:
        """What is called in place of the task."""
        return _once(super().task(live), live, self.hands_context, alone=False)


async def prepare(slot: ConnectionSlot, live: Live, connection: Any) -> None:
    """Make the table of keys, unless this run knows that it is there. A handle in no transaction is needed."""
    from flowlang.connections._sql import once

    if slot.keeping is not live:
        plugin: Any = live.plugin
        await once.prepare(connection, plugin.dialect)
        slot.keeping = live


def _once(function: Callable[..., Any], live: Live, hands_context: bool, *, alone: bool) -> Callable[..., Any]:
    """`function` of a task, done once for each key. `hands_context`: the task asks for it, too. `alone`: in no
    transaction."""
    from flowlang.connections._sql.once import done_once

    async def call(connection: Any, context: Context, **kwargs: Any) -> Any:
        if hands_context:
            kwargs["context"] = context
        plugin: Any = live.plugin
        step = _name(context.step, context.flow)

        async def work() -> Any:
            return await function(**kwargs, connection=connection)

        return await done_once(plugin, connection, context.idempotency_key, step, work, alone=alone)

    return call


# ---------------------------------------------------------------- a block as a whole


async def run_once(step: Transaction, frame: Frame, fiber: Fiber) -> Ended | None:
    """The block, or what it left when it was done with its key before."""
    own = fiber.idempotency_key
    key = own or f"{fiber.run.run_id}:{fiber.prefix}{step.site.path}"
    fiber.idempotency_key = None  # the steps inside have theirs
    try:
        shared, answer = await _claimed(step, fiber, key)
        if answer is None:
            return await carried(step, frame, fiber, shared, lambda: _kept(step, frame, fiber, shared, key))
        await uninterrupted(rolled_back(shared, RolledBack()))
        leave(step, frame, fiber, answer)
        return None
    finally:
        fiber.idempotency_key = own


async def _claimed(step: Transaction, fiber: Fiber, key: str) -> tuple[Shared, dict[str, Any] | None]:
    """A transaction that has claimed `key`, and what stands there already. Raises StepError."""
    from flowlang.connections._sql import once

    name, tries = _name(fiber.prefix + step.site.path, fiber.activation.plan.flow), once.CLAIMS
    while True:
        shared, tries = await begun(step, fiber), tries - 1
        plugin: Any = shared.live.plugin
        claim = partial(once.claim, plugin.dialect, shared.connection, key, name)
        try:
            return shared, await _asked(step, fiber, shared, claim)
        except once.Outrun as outrun:
            await uninterrupted(rolled_back(shared, outrun))
            if not tries:
                failed = failure_of(outrun.refusal, fiber, shared.live, shared.slot)
                raise step_error(failed, step.site, fiber) from outrun.refusal
        except BaseException as error:
            await uninterrupted(rolled_back(shared, error))
            raise


async def _kept(step: Transaction, frame: Frame, fiber: Fiber, shared: Shared, key: str) -> None:
    """Write down what the block leaves, in the transaction that does it."""
    from flowlang.connections._sql import once

    plugin: Any = shared.live.plugin
    await _asked(step, fiber, shared, partial(once.keep, plugin.dialect, shared.connection, key, left(step, frame)))


async def _asked(step: Transaction, fiber: Fiber, shared: Shared, ask: Callable[[], Awaitable[T]]) -> T:
    """A statement of ours on the handle of the transaction; its failure is the block's."""
    from flowlang.connections._sql.once import Outrun

    try:
        async with shared.turn():
            shared.check()
            return await ask()
    except (Outrun, GeneratorExit):
        raise
    except BaseException as error:
        failed = shared.noted(failure_of(error, fiber, shared.live, shared.slot))
        if isinstance(failed, OperationError):
            given = fiber.activation.given(shared.slot.name)
            raise step_error(failed, step.site, fiber, given=given) from original(error)
        if failed is error:
            raise
        raise failed from original(error)


def left(step: Transaction, frame: Frame) -> dict[str, Any]:
    """What a block leaves behind it, by names: a later version of its flow has its places elsewhere."""
    there = {name: _plain(frame[slot]) for name, slot in step.kept if frame[slot] is not UNSET}
    return {"left": there, "skipped": [name for name, slot in step.kept if frame[slot] is UNSET]}


def _plain(value: Any) -> Any:
    return {name: objects(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def leave(step: Transaction, frame: Frame, fiber: Fiber, answer: Mapping[str, Any]) -> None:
    """Leave what `left` told. Raises StepError where the block was another one then."""
    there, known = answer.get("left", {}), {*answer.get("left", ()), *answer.get("skipped", ())}
    missing = next((name for name, _ in step.kept if name not in known), None)
    if missing is not None:
        detail = f"the block was done before with this key, and did not leave `{missing}` then: it is another one now"
        error = OperationError(Classified("validation", False), None, detail=detail)
        raise step_error(error, step.site, fiber)
    for name, slot in step.kept:
        frame[slot] = there.get(name, UNSET)
