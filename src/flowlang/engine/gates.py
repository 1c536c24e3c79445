"""`concurrency`: how many runs of a flow with the same key may be under way at once, in one process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Literal

OnConflict = Literal["queue", "skip", "cancel_running"]
Key = tuple[object, ...]


class Ticket:
    """A run at a gate. `give_way` asks it to stop; it belongs to `loop`, whatever thread asks."""

    __slots__ = ("doomed", "give_way", "key", "limit", "loop", "turn")

    def __init__(self, key: Key, limit: int, give_way: Callable[[], None]) -> None:
        self.key = key
        self.limit = limit
        self.give_way = give_way
        self.loop = asyncio.get_running_loop()
        self.turn: asyncio.Future[None] = self.loop.create_future()
        self.doomed = False

    def call(self, function: Callable[[], None]) -> None:
        try:
            self.loop.call_soon_threadsafe(function)
        except RuntimeError:
            pass  # its loop was closed under it: nobody is left to be told

    def admit(self) -> None:
        if not self.turn.done():
            self.turn.set_result(None)


class _Gate:
    def __init__(self) -> None:
        self.running: list[Ticket] = []
        self.waiting: list[Ticket] = []


class Gates:
    """Lets runs in, first come, first served. Whoever owns it hands it to each run; its runs may belong to several
    event loops, in threads of their own."""

    def __init__(self) -> None:
        self._gates: dict[Key, _Gate] = {}
        self._lock = threading.Lock()

    def arrive(
        self, key: Key, limit: int, on_conflict: OnConflict, give_way: Callable[[], None]
    ) -> tuple[Ticket | None, int]:
        """A ticket, and how many runs are before it: 0 when it may begin at once, else wait for its `turn`. None when
        it is to be skipped. Whoever has a ticket must `leave`.

        `cancel_running` asks the oldest that is not on its way out already, be it running or waiting.
        """
        with self._lock:
            gate = self._gates.setdefault(key, _Gate())
            before = [*gate.running, *gate.waiting]
            if len(gate.running) < limit and not gate.waiting:
                ticket = Ticket(key, limit, give_way)
                gate.running.append(ticket)
                ticket.admit()
                return ticket, 0
            if on_conflict == "skip":
                return None, len(before)
            ticket = Ticket(key, limit, give_way)
            gate.waiting.append(ticket)
            oldest = next((each for each in before if not each.doomed), None)
            if on_conflict == "cancel_running" and oldest is not None:
                oldest.doomed = True
                oldest.call(oldest.give_way)
        return ticket, len(before)

    def leave(self, ticket: Ticket) -> None:
        """The run is over, or does not wait any longer: the next ones may begin."""
        with self._lock:
            gate = self._gates[ticket.key]
            (gate.running if ticket in gate.running else gate.waiting).remove(ticket)
            while gate.waiting and len(gate.running) < gate.waiting[0].limit:
                following = gate.waiting.pop(0)
                gate.running.append(following)
                following.call(following.admit)
            if not gate.running and not gate.waiting:
                del self._gates[ticket.key]
