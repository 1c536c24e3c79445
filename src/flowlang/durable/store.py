"""The store: runs, the flows they run, their journals. Every statement about the life of a run is here.

    queued ─► running ─► succeeded · failed · timed_out · cancelled · skipped
      ▲         │  ▲
      │         ▼  │ due, or signalled
      └──── waiting         running ─► needs_attention · parked ─► (somebody decides) ─► queued

A run that is under way has an owner, and a token that is new with each owner. Whatever is written for a run is
written only while its token is still the writer's: who was taken for dead can write nothing any more.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

from flowlang.durable.database import Database, Row, Transaction
from flowlang.durable.log import Entry, Past, Reader, add, outcomes, whole
from flowlang.durable.names import refuse_name, refuse_priority
from flowlang.durable.ownership import is_owned
from flowlang.durable.records import Recorded, StoredFlow, StoredRun, StoredStep, failure_record, run_of
from flowlang.durable.schema import ENDED, TURN_KEPT
from flowlang.durable.sealing import Sealer
from flowlang.exceptions import Failure, StoreError

_ROWS = 1000  # of a log that are read at once
_REMEMBERED, _MOST_REMEMBERED = 900.0, 1000  # seconds, flows
_TRIES = 10
# The run that it retries is not deleted before this one is there, which keeps it.
_ADD_RUN = """INSERT INTO flowlang_runs (id, flow, hash, state, durable, queue, priority, dedup, due_at,
        created_at, started_at, owner, token, attempt, inputs, options, started_by, origin)
    SELECT :id, :flow, :hash, :state, :durable, :queue, :priority, :dedup, {now} + :delay::float8, {now},
        CASE WHEN :owner::text IS NULL THEN NULL ELSE {now} END, :owner::text, :token, :attempt, :inputs,
        :options, :started_by, :origin
    WHERE :origin::text IS NULL OR EXISTS (SELECT 1 FROM flowlang_runs WHERE id = :origin FOR SHARE)
    ON CONFLICT DO NOTHING RETURNING *"""
_ADDED = """SELECT * FROM flowlang_runs WHERE id = :id OR (queue = :queue AND dedup = :dedup)
    ORDER BY CASE WHEN id = :id THEN 0 ELSE 1 END"""


class Store:
    """What is known of all runs. `database` belongs to it."""

    def __init__(self, database: Database, sealer: Sealer | None = None) -> None:
        self.database = database
        self.url = database.url
        self.sealer = sealer or Sealer()
        self._kept: dict[str, float] = {}  # flows that are there, and when that was seen
        self._ahead = time.time() - time.monotonic()  # of the clock of the database before ours that never jumps

    async def close(self) -> None:
        await self.database.close()

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    # ------------------------------------------------------------ time

    def time(self) -> float:
        """Seconds since the epoch by the clock of the database, which all who use the store share. Between two looks at
        it the clock of this machine that never jumps goes on."""
        return time.monotonic() + self._ahead

    async def look_at_clock(self) -> None:
        """What is known of it stays as it is, as far as that agrees with what it says: the answer may have taken long.
        Raises `StoreError`."""
        asked = time.monotonic()
        now = float((await self.database.fetch("SELECT {now} AS now"))[0]["now"])
        self._ahead = min(max(self._ahead, now - time.monotonic()), now - asked)

    # ------------------------------------------------------------ flows

    async def put_flow(self, flow: StoredFlow) -> None:
        """Keep a flow; one with its hash is there already when a run of it was. `retention` leaves it alone for an hour
        from then on, so that the run which it is kept for can be added; for a part of that this need not ask again."""
        now = time.monotonic()
        if now - self._kept.get(flow.hash, -_REMEMBERED) < _REMEMBERED:
            return
        await self.database.execute(  # one statement: between two of them `retention` may delete it
            """INSERT INTO flowlang_flows (hash, name, file, texts, stored_at)
            VALUES (:hash, :name, :file, :texts, {now}) ON CONFLICT (hash) DO UPDATE SET stored_at = excluded.stored_at
                WHERE flowlang_flows.stored_at < excluded.stored_at - 1800""",
            hash=flow.hash, name=flow.name, file=flow.file, texts=json.dumps(flow.texts),
        )  # fmt: skip
        if len(self._kept) >= _MOST_REMEMBERED:
            self._kept.clear()
        self._kept[flow.hash] = now

    async def flow(self, hash_: str) -> StoredFlow:
        """The flow with this hash. Raises `StoreError`."""
        rows = await self.database.fetch("SELECT * FROM flowlang_flows WHERE hash = :hash", hash=hash_)
        if not rows:
            raise StoreError(f"the store {self.url} does not hold the flow {hash_[:12]} any more")
        row = rows[0]
        try:
            texts = json.loads(row["texts"])
            texts[row["file"]]  # it is there
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(f"the flow {hash_[:12]} in the store {self.url} is damaged") from error
        return StoredFlow(row["hash"], row["name"], row["file"], texts)

    # ------------------------------------------------------------ runs

    async def add(
        self,
        flow: StoredFlow,
        inputs: str,
        options: Mapping[str, Any],
        *,
        run_id: str | None = None,
        queue: str = "default",
        priority: int = 0,
        dedup: str | None = None,
        delay: float = 0.0,
        owner: str | None = None,
        started_by: str = "manual",
        origin: str | None = None,
        attempt: int = 1,
        durable: bool = True,
    ) -> StoredRun:
        """A new run: queued, or under way with `owner` at once. `inputs` is what `codec` wrote, sealed if need be.

        With `dedup` there is at most one of that key in its queue that has not ended: the one there is, else a new one.
        """
        refuse_name("queue", queue)
        if dedup is not None:
            refuse_name("key", dedup)
        refuse_priority(priority)
        run_id = run_id or str(uuid.uuid4())
        await self.put_flow(flow)
        values = {
            "id": run_id, "flow": flow.name, "hash": flow.hash, "state": "running" if owner else "queued",
            "durable": int(durable), "queue": queue, "priority": priority, "dedup": dedup, "delay": delay,
            "owner": owner, "token": uuid.uuid4().hex if owner else None, "inputs": inputs,
            "options": json.dumps(options), "started_by": started_by, "origin": origin, "attempt": attempt,
        }  # fmt: skip
        for _ in range(_TRIES):
            rows = await self.database.fetch(_ADD_RUN, **values) or await self.database.fetch(_ADDED, **values)
            if rows:
                break
            if origin is not None and await self.run(origin) is None:
                raise StoreError(f"run `{origin}` was deleted just now: there is nothing of it to take over")
        else:
            raise StoreError(f"run `{run_id}` could not be added: runs of its key come and go")
        if not owner:
            await self.database.notify(f"queue:{queue}")
        return run_of(rows[0])

    async def run(self, run_id: str) -> StoredRun | None:
        rows = await self.database.fetch("SELECT * FROM flowlang_runs WHERE id = :id", id=run_id)
        return run_of(rows[0]) if rows else None

    async def take(self, run_id: str, owner: str, *, dead: str | None = None) -> StoredRun | None:
        """Make `owner` the owner of a run that has none, or whose owner is `dead`; None when somebody else was first,
        or it has ended."""
        rows = await self.database.fetch(
            f"""UPDATE flowlang_runs SET state = 'running', owner = :owner, token = :token,
                started_at = coalesce(started_at, {{now}}), waits_for = {TURN_KEPT},
                takeovers = takeovers + CASE WHEN owner IS NULL THEN 0 ELSE 1 END
            WHERE id = :id AND state NOT IN ('succeeded', 'failed', 'timed_out', 'cancelled', 'skipped', 'lost')
                AND durable = 1 AND (owner IS NULL OR owner = :dead::text)
            RETURNING *""",  # noqa: S608 - a text of ours
            id=run_id, owner=owner, token=uuid.uuid4().hex, dead=dead,
        )  # fmt: skip
        return run_of(rows[0]) if rows else None

    async def finish(
        self,
        run: StoredRun,
        state: str,
        *,
        outputs: str | None = None,
        error: Failure | None = None,
        reason: str | None = None,
    ) -> bool:
        """The end of a run, or that somebody has to decide about it. False when it is not the owner's any more."""
        ended = state in ENDED
        changed = await self.database.execute(
            """UPDATE flowlang_runs SET state = :state, outputs = :outputs, error = :error, reason = :reason,
                ended_at = CASE WHEN :ended::int = 1 THEN {now} END, owner = NULL, token = NULL, waits_for = NULL,
                gate = NULL, dedup = CASE WHEN :ended::int = 1 THEN NULL ELSE dedup END
            WHERE id = :id AND token = :token""",
            id=run.id, token=run.token, state=state, outputs=outputs, reason=reason, ended=int(ended),
            error=json.dumps(failure_record(error)) if error is not None else None,
        )  # fmt: skip
        await self.database.notify(f"run:{run.id}")
        return changed == 1

    async def release(self, run: StoredRun, state: str, due_at: float | None, waits_for: str | None = None) -> bool:
        """Give a run back that is not over: `waiting` until `due_at` (None: until it is signalled), or `queued`.

        A signal, or a request to cancel it, that came meanwhile makes it due at once.
        """

        async def give_back(tx: Transaction) -> bool:
            if not await is_owned(tx, run, "UPDATE"):  # first: what somebody sends now is waited for, and seen
                return False
            await tx.execute(
                """UPDATE flowlang_runs SET state = :state, owner = NULL, token = NULL, refused = 0,
                    waits_for = :waits_for::text,
                    due_at = CASE WHEN cancel = 1 OR (:waits_for::text IS NOT NULL AND EXISTS (
                        SELECT 1 FROM flowlang_signals s WHERE s.run_id = flowlang_runs.id AND s.taken_by IS NULL
                            AND ' ' || :waits_for::text || ' ' LIKE '% ' || s.name || ' %'))
                        THEN {now} ELSE :due_at::float8 END
                WHERE id = :id""",
                id=run.id, state=state, due_at=due_at if due_at is not None else 9e15, waits_for=waits_for,
            )  # fmt: skip
            return True

        kept = await self.database.transact(give_back)
        await self.database.notify(f"queue:{run.queue}")
        return kept

    async def ask_to_cancel(self, run_id: str) -> str | None:
        """Ask a run to stop. Returns its state, None when there is none of that id. Who runs it sees that within a
        second; one that waits is made due, so that its clean-up can run; one that has not begun is over."""

        async def ask(tx: Transaction) -> Sequence[Row]:
            await tx.execute(
                """UPDATE flowlang_runs SET state = 'cancelled', ended_at = {now}, cancel = 1, dedup = NULL, gate = NULL
                WHERE id = :id AND state = 'queued' AND started_at IS NULL""",
                id=run_id,
            )
            await tx.execute(
                """UPDATE flowlang_runs SET cancel = 1, due_at = {now},
                    state = CASE WHEN state = 'running' THEN 'cancelling' WHEN state IN ('needs_attention', 'parked')
                        THEN 'queued' ELSE state END
                WHERE id = :id AND state NOT IN ('succeeded', 'failed', 'timed_out', 'cancelled', 'skipped', 'lost')""",
                id=run_id,
            )
            return await tx.fetch("SELECT state, queue FROM flowlang_runs WHERE id = :id", id=run_id)

        rows = await self.database.transact(ask)
        if not rows:
            return None
        await self.database.notify(f"run:{run_id}")
        await self.database.notify(f"queue:{rows[0]['queue']}")
        return str(rows[0]["state"])

    async def to_cancel(self, owner: str) -> list[str]:
        """The runs of `owner` that somebody wants to stop."""
        rows = await self.database.fetch(
            "SELECT id FROM flowlang_runs WHERE owner = :owner AND cancel = 1", owner=owner
        )
        return [row["id"] for row in rows]

    # ------------------------------------------------------------ the journal

    async def journal(self, run_id: str) -> Past[StoredStep]:
        """What is recorded of a run. Raises `StoreError` when it is damaged."""
        known: dict[str, StoredStep] = {}
        return Past(known, await self._read(run_id, known, whole(known)))

    async def outcomes(self, run_id: str) -> Past[Recorded]:
        """The same, and of each call only what came of it."""
        known: dict[str, Recorded] = {}
        return Past(known, await self._read(run_id, known, outcomes))

    async def _read(self, run_id: str, known: dict[str, Entry], read: Reader[Entry]) -> int:
        """Read the log of a run into `known`, and give the number of the next commit. Some rows at a time: to have them
        all at once takes memory that the system has to find first."""
        last = -1
        while True:
            rows = await self.database.fetch(
                """SELECT seq, entries, checksum FROM flowlang_journal WHERE run_id = :run AND seq > :last
                ORDER BY seq LIMIT :some""",
                run=run_id, last=last, some=_ROWS,
            )  # fmt: skip
            if rows:
                last = add(known, cast("Sequence[Sequence[Any]]", rows), read, run_id)  # as both drivers have them
            if len(rows) < _ROWS:
                return last + 1

    async def steps(self, run_id: str) -> Sequence[StoredStep]:
        """The last entry of each call, in no order."""
        return (await self.journal(run_id)).steps

    async def events(self, run_id: str, after: int = -1) -> list[tuple[int, str]]:
        """What listeners were told, in chunks of JSON lines behind chunk `after`."""
        rows = await self.database.fetch(
            "SELECT seq, lines FROM flowlang_events WHERE run_id = :run AND seq > :after ORDER BY seq",
            run=run_id, after=after,
        )  # fmt: skip
        return [(row["seq"], row["lines"]) for row in rows]

    async def messages(self, run_id: str) -> list[tuple[int, str]]:
        """The same, empty where nothing in a chunk was logged."""
        rows = await self.database.fetch(
            """SELECT seq, CASE WHEN strpos(lines, '"log_written"') > 0 THEN lines ELSE '' END AS lines
            FROM flowlang_events WHERE run_id = :run ORDER BY seq""",
            run=run_id,
        )
        return [(row["seq"], row["lines"]) for row in rows]
