"""`exactly_once`: the operations whose key and outputs are written in the transaction that does them.

On a handle of its own such a step is a transaction; in a `transaction` block it is a savepoint of that one. How it is
written is in `connections._sql.once`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flowlang.connections.lifecycle import ConnectionSlot, Live
from flowlang.engine.leases import ToldCall
from flowlang.engine.operations import LeasedCall
from flowlang.engine.transactions import SharedCall
from flowlang.plan import Operation
from flowlang.tasks.context import Context

_TURNS = re.compile(r"\[\d+\]")  # in a path: which turn of a loop


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
        step = f"`{_TURNS.sub('', context.step)}` of flow `{context.flow}`"

        async def work() -> Any:
            return await function(**kwargs, connection=connection)

        return await done_once(plugin, connection, context.idempotency_key, step, work, alone=alone)

    return call
